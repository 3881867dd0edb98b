/**
 * What would be free when a hold is released: the rows it keeps that are past their date, counted by the policy's own dry run among
 * its rows alone. Some of them may be kept by something else too, which the next run looks at again: so many at most.
 */
import { admissionFacts } from '../../engine/guard/facts';
import { count } from '../../engine/statement/found';
import { atRoots } from '../../engine/statement/leaves';
import { legsOf } from '../../engine/statement/leg';
import { inForce } from '../../operators/in-force';
import { scopeTargets } from '../../operators/targets';
import { asking, askOne, readingOnly } from '../../platform/session';
import { allOf, id, keyAsText, type Sql, sql, tableLabel } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { withPeriods } from '../../policies/effective';
import { versionOf } from '../../policies/fingerprint';
import type { Services } from '../../services';
import type { HoldRow } from './lists';

/** A person waits for the page; what was not counted by then is told as "at least". */
const LOOK_MS = 10_000;
const LIMITS = { statementMs: 5_000, readOnly: true };

export interface Released {
  readonly covers: Awaited<ReturnType<typeof inForce>>[number]['covers'];
  /** Rows that the next runs may take, by policy; those with none are left out. */
  readonly due: readonly { readonly policy: string; readonly rows: number }[];
  /** False: there may be more. */
  readonly complete: boolean;
}

export async function whatIsReleased(s: Services, hold: HoldRow): Promise<Released> {
  const until = s.clock().getTime() + LOOK_MS;
  const inTime = () => s.clock().getTime() < until;
  const [keeps] = await inForce(s, 'holds', [hold]);
  const due: { policy: string; rows: number }[] = [];
  let complete = true;
  for (const policy of await atRoots(s.database, s.policies)) {
    const only = rowsOf(policy, hold);
    if (only === null) continue;
    const found = await dueUnder(s, policy, only, inTime);
    complete &&= found.complete;
    if (found.kept.held > 0) due.push({ policy: policy.name, rows: found.kept.held });
  }
  return { covers: keeps!.covers, due, complete };
}

/** The governed rows `t` that the hold names; null: it names none of this policy. */
function rowsOf(policy: Policy, { scope, subject, table_name: label }: HoldRow): Sql | null {
  if (scope === 'item') {
    return tableLabel(policy.table) === label ? sql`${keyAsText('t', policy.key)} = ${subject}` : null;
  }
  const targets = scopeTargets([policy], scope).filter(
    (t) => tableLabel(t.table) === tableLabel(policy.table),
  );
  if (targets.length === 0) return null;
  return allOf(...targets.map((t) => sql`${id('t', t.columns[0]!)}::text = ${subject}`));
}

async function dueUnder(s: Services, policy: Policy, only: Sql, inTime: () => boolean) {
  const now = s.clock();
  const cooling = s.settings.guards.coolingOffSeconds;
  const facts = await askOne(s.database, admissionFacts(policy, versionOf(policy), now, cooling), LIMITS);
  return count({
    ...{ policy, only, inTime },
    legs: legsOf(withPeriods(policy, facts.periods), now, cooling),
    asOf: now.toISOString(),
    reading: readingOnly(asking(s.database)),
  });
}
