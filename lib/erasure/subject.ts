/** Whose data, and how each policy's table names them. */
import type { Leg } from '../batch/leg';
import { name, Parameters, table, tableLabel } from '../batch/sql';
import type { Statement } from '../database';
import type { Policy } from '../policies/contract';

export interface Subject {
  readonly scope: 'organization' | 'user';
  readonly id: string;
}

export interface Reach {
  /** The policy as declared: its name, lease, fence and version. */
  readonly policy: Policy;
  /** The same, deleting for good: rows that are marked as deleted go too. */
  readonly erasing: Policy;
  /** Null: the table does not name such a subject. */
  readonly leg: (Leg & { kind: 'subject' }) | null;
}

/** One entry a governed table: the purge of a table goes with its policy. */
export function reachOf(policies: readonly Policy[], subject: Subject): Reach[] {
  const byTable = new Map(policies.toReversed().map((p) => [tableLabel(p.table), p]));
  return [...byTable.values()].toReversed().map((policy) => {
    const column = policy.scope[subject.scope];
    return {
      policy,
      erasing: { ...policy, strategy: { kind: 'delete' } },
      leg: column === undefined ? null : { kind: 'subject', column, subject: subject.id },
    };
  });
}

/** Rows `{ id }`: the subject as the column of each table prints it. Fails with 22P02 where it cannot be an id. */
export function canonicalIds(reach: readonly Reach[]): Statement {
  const p = new Parameters();
  const looks = reach.flatMap((r) =>
    r.leg
      ? [
          // The parameter takes the column's own type from the empty side of the union.
          `select x::text as id from (select t.${name(r.leg.column)} as x from ${table(r.policy.table)} t where false union all select ${p.add(r.leg.subject)}) u`,
        ]
      : [],
  );
  return p.statement(looks.join(' union '));
}
