/**
 * What would be free when a hold is released: the rows it keeps that are past their date, counted by the policy's own
 * predicate among its rows alone. Some of them may be kept by something else too, which the next run looks at again: so many at most.
 */
import { periodsAt } from '../../engine/guard/ahead';
import { heldDue } from '../../engine/statement/held-due';
import { atRoots } from '../../engine/statement/leaves';
import { legsOf } from '../../engine/statement/leg';
import type { Cover } from '../../operators/coverage';
import { coveredBy } from '../../operators/in-force';
import type { Spelled } from '../../operators/spelling';
import { askEach } from '../../platform/session';
import { allOf, constant, id, keyAsText, raw, type Sql, sql, tableLabel } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { withPeriods } from '../../policies/effective';
import type { Services } from '../../services';
import type { HoldRow } from './lists';

/** Of each rule of a policy, as many as the rows that a hold keeps are counted to. */
const MOST = 1_000;
const LIMITS = { statementMs: 5_000, readOnly: true };

export interface Released {
  readonly covers: readonly Cover[];
  /** Rows that the next runs may take, by policy; those with none are left out. */
  readonly due: readonly { readonly policy: string; readonly rows: number }[];
  /** False: there are more. */
  readonly complete: boolean;
}

export async function whatIsReleased(s: Services, hold: HoldRow): Promise<Released> {
  const [{ covers, spelled }, policies] = await Promise.all([
    coveredBy(s, 'holds', hold),
    atRoots(s.database, s.policies),
  ]);
  const named = policies.flatMap((policy) => {
    const only = rowsOf(policy, spelled);
    return only === null ? [] : [{ policy, only }];
  });
  const counted = await dueOf(s, named);
  return {
    covers,
    due: counted.flatMap(({ policy, rows }) => {
      const n = rows.reduce((sum, r) => sum + Math.min(r, MOST), 0);
      return n > 0 ? [{ policy: policy.name, rows: n }] : [];
    }),
    complete: counted.every(({ rows }) => rows.every((n) => n <= MOST)),
  };
}

/** The governed rows `t` that the hold names, found by an index of the column and compared as they are printed; null: it names none. */
function rowsOf(policy: Policy, spelled: readonly Spelled[]): Sql | null {
  const own = spelled.find(
    ({ target, subject }) =>
      subject !== null &&
      target.policy === policy.name &&
      tableLabel(target.table) === tableLabel(policy.table),
  );
  if (!own) return null;
  const { columns } = own.target;
  const text = keyAsText(
    't',
    columns.map((column) => ({ column, type: 'text' })),
  );
  const values = JSON.stringify(own.values);
  const equal = columns.map(
    (c, i) => sql`${id('t', c)} = (${values}::jsonb ->> ${constant(i)})::${raw(own.columns[i]!.base!)}`,
  );
  return allOf(...equal, sql`${text} = ${own.subject}`);
}

interface Named {
  readonly policy: Policy;
  readonly only: Sql;
}

/** Of each policy the rows of each rule. */
async function dueOf(s: Services, named: readonly Named[]) {
  if (named.length === 0) return [];
  const now = s.clock();
  const cooling = s.settings.guards.coolingOffSeconds;
  const ahead = await askEach(
    s.database,
    named.map(({ policy }) => periodsAt(policy, [now], cooling)),
    LIMITS,
  );
  const legs = named.flatMap(({ policy, only }, i) =>
    legsOf(withPeriods(policy, ahead[i]![0]!.periods), now, cooling).map((leg) => ({ policy, only, leg })),
  );
  const found = await askEach(
    s.database,
    legs.map(({ policy, only, leg }) => heldDue(policy, leg, now.toISOString(), only, MOST)),
    LIMITS,
  );
  return named.map(({ policy }) => ({
    policy,
    rows: found.filter((_, i) => legs[i]!.policy === policy),
  }));
}
