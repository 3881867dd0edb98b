/**
 * What becomes of the files of rows that are gone: the outbox is drained, and a file must be kept where any row that is left names
 * it, whoever that is, and count as deleted where none does. Only plain looks at the copy; holds are lifted before.
 */
import { randomUUID } from 'node:crypto';
import { drainOutbox } from '../../../files/drain';
import type { Policy } from '../../../policies/contract';
import type { Copy } from './copy';
import { labelOf } from './shape';
import type { Place } from './world';

/** Columns of any table that the policy says name files, whatever becomes of them. */
const naming = (policy: Policy): { table: string; column: string }[] =>
  [policy, ...policy.dependants, ...(policy.contents ?? [])].flatMap(({ table, files }) =>
    files.map(({ column }) => ({ table: labelOf(table), column })),
  );

/** How many entries there were, how many of them a row has kept, and what differs. */
export async function drained(
  place: Place,
  policy: Policy,
  after: Copy,
): Promise<{ files: number; kept: number; problems: string[] }> {
  await place.owner.query('delete from retention.hold');
  const said: string[] = [];
  // Entries are due by the database's clock; that a file is missing is believed the second time. None was ever uploaded.
  for (const laterMs of [60_000, 7_200_000]) {
    const clock = () => new Date(Date.now() + laterMs);
    const services = { ...place.services(policy), clock };
    const deadline = new Date(clock().getTime() + 300_000);
    said.push(
      (await drainOutbox(services, { correlationId: randomUUID(), deadline, dryRun: false })).message,
    );
  }
  const named = new Set(
    naming(policy).flatMap(({ table, column }) =>
      (after.tables.get(table) ?? []).flatMap((row) => row.values[column] ?? []),
    ),
  );
  const { rows: entries } = await place.owner.query<{ url: string; state: string }>(
    'select url, state from retention.outbox order by id',
  );
  const problems = entries.flatMap(({ url, state }) => {
    const must = named.has(url) ? 'kept' : 'deleted';
    return state === must
      ? []
      : [`${url} is ${state} after the drain and must be ${must}: ${said.join(', then ')}`];
  });
  return { files: entries.length, kept: entries.filter((e) => e.state === 'kept').length, problems };
}
