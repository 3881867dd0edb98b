/** Whose data, and how each policy's table names them. */
import type { SubjectLeg } from '../engine/statement/leg';
import { type Spelled, spell, wanted } from '../operators/spelling';
import { RequestError } from '../platform/errors';
import { tableLabel } from '../platform/sql';
import type { Policy } from '../policies/contract';
import { FOR_GOOD } from '../policies/strategies';
import type { Services } from '../services';

export interface Subject {
  readonly scope: 'organization' | 'user';
  readonly id: string;
}

export interface Reach {
  /** The policy as declared: its name, lease, fence and version. */
  readonly policy: Policy;
  /** The same, deleting for good: rows that are marked as deleted go too. */
  readonly erasing: Policy;
  /** Null: the table does not name such a subject, or its column cannot hold this id. */
  readonly leg: SubjectLeg | null;
}

/**
 * One entry a governed table: the purge of a table goes with its policy. Each leg has the id as its column prints
 * it, as holds have it. `refused` says what the columns want when none can hold it.
 */
export async function subjectReach(
  services: Pick<Services, 'database' | 'policies'>,
  { scope, id }: Subject,
): Promise<{ reach: Reach[]; refused: string | null }> {
  const byTable = new Map(services.policies.toReversed().map((p) => [tableLabel(p.table), p]));
  const policies = [...byTable.values()].toReversed();
  const targets = policies.flatMap(({ name, table, scope: columns }) => {
    const column = columns[scope];
    return column === undefined ? [] : [{ policy: name, table, columns: [column] }];
  });
  const spelled = await spell(
    services,
    targets.map((target) => ({ parts: [id], target })),
  );
  const reach = policies.map((policy) => ({
    policy,
    erasing: { ...policy, strategy: FOR_GOOD },
    leg: legOf(spelled.find((s) => s.target.policy === policy.name)),
  }));
  const nowhere = spelled.length > 0 && spelled.every((s) => s.subject === null);
  const refused = nowhere ? [...new Set(spelled.map((s) => wanted(s, [id], false)))].join('; ') : null;
  return { reach, refused };
}

const legOf = (spelled: Spelled | undefined): Reach['leg'] =>
  spelled && spelled.subject !== null
    ? { kind: 'subject', column: spelled.target.columns[0]!, subject: spelled.subject }
    : null;

/**
 * The subject as its columns print it, so that one subject is one request however it is written. Refused before
 * anything is remembered: a uuid column cannot be asked for "42".
 */
export async function subjectOf(
  services: Pick<Services, 'database' | 'policies'>,
  asked: Subject,
): Promise<{ subject: Subject; reach: Reach[] }> {
  const { reach, refused } = await subjectReach(services, asked);
  if (refused !== null) {
    throw new RequestError(
      422,
      'not_an_id',
      `this cannot be the id of ${asked.scope === 'user' ? 'a user' : 'an organization'}: ${refused}`,
      asked.scope,
    );
  }
  const ids = [...new Set(reach.flatMap((r) => (r.leg ? [r.leg.subject] : [])))];
  return { subject: ids.length === 1 ? { ...asked, id: ids[0]! } : asked, reach };
}
