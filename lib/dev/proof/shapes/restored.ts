/**
 * What was archived comes back: each run that archived is restored, as an operator asks for it, and then every row that is gone
 * must be there again, value by value as it was, no other row changed, and none of them taken again by the next run.
 */
import type { Policy } from '../../../policies/contract';
import { type RestoreResult, restoreArchived } from '../../../rights/restore/restore';
import type { Services } from '../../../services';
import { type CopiedRow, type Copy, copyOf } from './copy';
import { edgeOf } from './graph';
import { statementsIn } from './remedies';
import { NOW } from './times';
import type { Place } from './world';

export interface Restoring {
  readonly place: Place;
  readonly policy: Policy;
  readonly before: Copy;
  readonly after: Copy;
  /** Runs a statement that a refusal prints. */
  readonly carryOut: (statement: string) => Promise<void>;
}

/** How many rows came back, and what differs. */
export async function restored(of: Restoring): Promise<{ rows: number; problems: string[] }> {
  const { place, policy, before, after } = of;
  const services = place.services(policy);
  const { rows: runs } = await place.owner.query<{ run: string }>(
    `select run from retention.archive where state = 'kept' group by 1 order by max(created_at) desc`,
  );
  const problems: string[] = [];
  for (const { run } of runs) {
    const { outcome, message, problems: left } = await askedFor(of, services, run);
    // None of the files that rows name was ever uploaded.
    const rows = left.filter((p) => p.table !== '(store)');
    if (outcome !== 'succeeded' || rows.length > 0)
      problems.push(`the restore of run ${run} ${outcome}: ${message}: ${JSON.stringify(rows)}`);
  }
  const back = await copyOf(place.owner, policy, NOW);
  const gone = [...before.rows.values()].filter((row) => !after.rows.has(row.id));
  const lost = lostBefore(before, policy, gone);
  problems.push(...gone.flatMap((row) => unlikeRow(row, back.rows.get(row.id), lost(row))));
  problems.push(...[...after.rows.values()].flatMap((row) => unlikeRow(row, back.rows.get(row.id))));
  if (back.rows.size !== after.rows.size + gone.length)
    problems.push(`${back.rows.size} rows are there after the restore, not ${after.rows.size + gone.length}`);
  return { rows: gone.length, problems };
}

/** Once more where it was refused with what to run. */
async function askedFor(of: Restoring, services: Services, run: string): Promise<RestoreResult> {
  const order = { scope: 'run' as const, subject: run, policy: null, reason: 'proof', keepDays: 30 };
  const deadline = new Date(NOW.getTime() + 240_000);
  const ask = () => restoreArchived(services, { ...order, actor: 'ann', token: '', deadline, dryRun: false });
  try {
    return await ask();
  } catch (refusal) {
    const statements = statementsIn(refusal instanceof Error ? refusal.message : '');
    if (statements.length === 0) throw refusal;
    for (const statement of statements) await of.carryOut(statement);
    return ask();
  }
}

/**
 * Columns of a row that is gone which may have been empty by then: a foreign key, or the batch itself, had taken them away with a
 * row of an earlier batch, and a row comes back as it was archived.
 */
function lostBefore(
  { keys }: Copy,
  policy: Policy,
  gone: readonly CopiedRow[],
): (row: CopiedRow) => ReadonlySet<string> {
  const cleared = policy.dependants.filter((d) => d.fate === 'set-null');
  const lets = [
    ...keys.filter((k) => k.action === 'n' || k.action === 'd').map((key) => ({ edge: key, sets: key.sets })),
    ...cleared.map((d) => ({ edge: edgeOf(policy, d), sets: d.clears ?? d.references })),
  ].map(({ edge, sets }) => {
    const there = gone.filter((row) => row.table === edge.to).map((row) => valuesOf(row, edge.targets));
    return { edge, sets, there: new Set(there) };
  });
  return (row) =>
    new Set(
      lets
        .filter(({ edge, there }) => edge.from === row.table && there.has(valuesOf(row, edge.columns)))
        .flatMap(({ sets }) => sets),
    );
}

const valuesOf = (row: CopiedRow, columns: readonly string[]): string =>
  JSON.stringify(columns.map((c) => row.values[c]));

function unlikeRow(
  row: CopiedRow,
  back: CopiedRow | undefined,
  lost: ReadonlySet<string> = new Set(),
): string[] {
  if (!back) return [`${row.id} is not back after the restore`];
  return Object.entries(row.values).flatMap(([column, value]) => {
    const now = back.values[column] ?? null;
    return now === value || (now === null && lost.has(column))
      ? []
      : [`${row.id}: after the restore ${column} is ${now}, not ${value}`];
  });
}
