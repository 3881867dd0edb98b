/**
 * Others at work while rows go: they add children, give rows a young clock, and take partitions off and put them back. Which rows go then depends on who was first,
 * so what is held against is what must be true whoever was.
 */
import type { Client } from 'pg';
import type { Policy } from '../../../policies/contract';
import { unlike, wholeOf } from './compare';
import type { CopiedRow, Copy } from './copy';
import { markOf } from './due';
import type { Evidence } from './evidence';
import { rowAbove, youngCopy } from './later';
import { moveAPartition } from './moving';
import type { Judgment } from './oracle';
import { labelOf, literal, quoted, type Shape, tableOf } from './shape';
import { written } from './times';
import type { Place } from './world';
import { type CopyTarget, insertCopy, targetsOf } from './writes';

interface Wrote {
  /** Rows whose clock was moved while they were there. */
  readonly young: ReadonlySet<string>;
  /** Rows that were added. */
  readonly added: ReadonlySet<string>;
  /** Rows that got, while they were there, another one that counts as their clock. */
  readonly kept: ReadonlySet<string>;
}

export interface Writer {
  isWriting(): boolean;
  stop(): Promise<Wrote>;
}

const MOST_WRITES = 60;

export async function disturb(place: Place, shape: Shape, policy: Policy, before: Copy): Promise<Writer> {
  const client = await place.another();
  // A row that a batch holds for long is left alone.
  await client.query(`set lock_timeout = '2s'`);
  const young = new Set<string>();
  const added = new Set<string>();
  const kept = new Set<string>();
  let writing = true;
  const work = write(client, shape, policy, before, { young, added, kept }).finally(() => {
    writing = false;
  });
  return {
    isWriting: () => writing,
    stop: async () => {
      await work;
      return { young, added, kept };
    },
  };
}

async function write(
  client: Client,
  shape: Shape,
  policy: Policy,
  before: Copy,
  { young, added, kept }: Record<keyof Wrote, Set<string>>,
): Promise<void> {
  const governed = before.tables.get(labelOf(policy.table)) ?? [];
  const targets: readonly CopyTarget[] = targetsOf(shape);
  for (let n = 0; n < MOST_WRITES; n += 1) {
    if (n % 5 === 1) await moveAPartition(client, shape, n);
    const row = governed[(n * 7) % Math.max(1, governed.length)];
    if (row && n % 3 === 0) {
      const where = policy.key.map((k) => `${quoted(k.column)} = ${literal(row.values[k.column] ?? null)}`);
      const { clock } = policy;
      // A row of a partitioned table would get another key.
      if (clock.in || policy.key.some((k) => k.column === clock.column)) continue;
      const set = `${quoted(clock.column)} = ${literal(written(-86_400, clock))}`;
      const done = await client
        .query(`update ${tableOf(policy.table)} set ${set} where ${where.join(' and ')}`)
        .catch(() => null);
      if (done?.rowCount === 1) young.add(row.id);
    } else if (targets.length > 0) {
      const target = targets[n % targets.length]!;
      const label = labelOf(target.table);
      const changed = n % 2 === 0 ? youngCopy(policy, label, before) : null;
      const made = await insertCopy(client, target, before, n, changed ?? {}).catch(() => null);
      if (made === null) continue;
      added.add(made.id);
      const above = changed && rowAbove(policy, label, before, made.values);
      if (above) kept.add(above);
    }
  }
}

export interface Disturbed {
  readonly before: Copy;
  readonly after: Copy;
  readonly evidence: Evidence;
  readonly wrote: Wrote;
  readonly judgment: Judgment;
  readonly policy: Policy;
}

/** No row is gone without a receipt, none is named that is there; nothing held, extended or young is gone, nor what was never due. */
export function unlikeInvariants({ before, after, evidence, wrote, judgment, policy }: Disturbed): string[] {
  const all = new Set([...before.rows.keys(), ...wrote.added]);
  const gone = [...all].filter((id) => !after.rows.has(id));
  const { whole, problems } = wholeOf(before, evidence);
  const isNever = (id: string) => {
    const why = judgment.first.get(id);
    return why === 'held' || why === 'extended' || why === 'condition';
  };
  // What stays and was changed is named too.
  const mark = markOf(policy);
  const isMarked = (row: CopiedRow | undefined) =>
    mark !== null && row !== undefined && (row.values[mark] ?? null) !== null;
  const changed = [...after.rows].filter(([id, row]) => isMarked(row) && !isMarked(before.rows.get(id)));
  return [
    ...problems,
    ...unlike('in receipts', [...gone, ...changed.map(([id]) => id)], [...evidence.named, ...whole]),
    ...[...wrote.young]
      .filter((id) => !after.rows.has(id))
      .map((id) => `${id} was given a young clock, and is gone`),
    ...[...wrote.kept]
      .filter((id) => !after.rows.has(id))
      .map((id) => `${id} got a row that keeps it, and is gone`),
    ...gone.filter(isNever).map((id) => `${id} had to be kept (${judgment.first.get(id)}), and is gone`),
    ...gone
      .filter((id) => isGoverned(id, judgment, before) && !judgment.first.has(id))
      .map((id) => `${id} is not old enough, and is gone`),
    ...[...after.rows.keys()].filter((id) => !all.has(id)).map((id) => `${id} is there, and nobody wrote it`),
  ];
}

const isGoverned = (id: string, judgment: Judgment, before: Copy): boolean => {
  const some = judgment.first.keys().next().value;
  return some !== undefined && before.rows.get(id)?.table === before.rows.get(some)?.table;
};
