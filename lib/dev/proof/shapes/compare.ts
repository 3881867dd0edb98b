/** Holds what happened against what had to happen; each difference is a sentence. */
import type { RunResult } from '../../../engine/run/result';
import type { Preview } from '../../../platform/outcome';
import type { Policy } from '../../../policies/contract';
import type { Copy } from './copy';
import { markOf } from './due';
import type { Evidence } from './evidence';
import { handedOver } from './handed-over';
import { type Ending, type Judgment, type Oracle, REASONS } from './oracle';

export interface Happened {
  readonly before: Copy;
  readonly after: Copy;
  readonly evidence: Evidence;
  readonly runs: readonly Pick<RunResult, 'deleted' | 'dependantsDeleted' | 'filesQueued'>[];
}

type Counts = Readonly<Record<string, number>>;

/** Its figures say what the oracle says of the same rows. */
export function unlikeDryRun(
  judgment: Pick<Judgment, 'first' | 'firstAlong' | 'firstDetached'>,
  preview: Pick<Preview, 'complete' | 'expired' | 'kept' | 'dependants' | 'detached'> | undefined,
): string[] {
  if (!preview) return ['the dry run has no figures'];
  const reasons = [...judgment.first.values()];
  const expired = reasons.filter((r) => r === null).length;
  const kept = REASONS.map((reason) => {
    const wanted = reasons.filter((r) => r === reason).length;
    return wanted === preview.kept[reason] ? '' : `kept ${reason} ${preview.kept[reason]}, not ${wanted}`;
  });
  const unlikeCounts = (what: string, wanted: Counts, says: Counts) =>
    Object.keys({ ...wanted, ...says }).map((label) => {
      const [n, must] = [says[label] ?? 0, wanted[label] ?? 0];
      return n === must ? '' : `${n} ${what.replace('…', label)}, not ${must}`;
    });
  return [
    preview.complete ? '' : 'it is not complete',
    preview.expired === expired ? '' : `${preview.expired} rows, not ${expired}`,
    ...kept,
    ...unlikeCounts('rows of … along', judgment.firstAlong, preview.dependants),
    ...unlikeCounts('references of … taken away', judgment.firstDetached, preview.detached),
  ]
    .filter((x) => x !== '')
    .map((x) => `dry run: ${x}`);
}

/** After the last run: rows, receipts, files and figures. */
export function unlikeOracle(
  { oracle, judgment, policy }: { oracle: Oracle; judgment: Judgment; policy: Policy },
  happened: Happened,
): string[] {
  const { before, after, evidence } = happened;
  // Of rows that only go together some may have gone; a row that stays has its mark.
  const mark = markOf(policy);
  const went = (id: string) => {
    const row = after.rows.get(id);
    return row === undefined || (mark !== null && row.values[mark] !== null);
  };
  const ending = judgment.ending([...judgment.either].filter(went));
  const wanted = handedOver(policy, before, ending.gone);
  const detached = evidence.detached.filter((id) => !ending.gone.has(id));
  return [
    ...unlikeRows(oracle.after(ending), before, after),
    ...unlikeReceipts(ending, before, evidence),
    ...unlike('named as one that lost a reference', oracle.detached(ending), detached),
    ...unlike('in the outbox', wanted.files, evidence.files),
    ...unlikeFigures(ending, wanted, happened),
  ];
}

function unlikeRows(wanted: ReturnType<Oracle['after']>, before: Copy, after: Copy): string[] {
  const problems: string[] = [];
  for (const [id, values] of wanted) {
    const row = after.rows.get(id);
    if (!row) {
      problems.push(`${id} is gone and must be there`);
      continue;
    }
    for (const [column, value] of Object.entries(values)) {
      const now = row.values[column] ?? null;
      if (value === undefined ? now === null : now !== value)
        problems.push(`${id}: ${column} is ${now}, not ${value === undefined ? 'set' : value}`);
    }
  }
  for (const id of after.rows.keys()) {
    if (!wanted.has(id))
      problems.push(`${id} is there${before.rows.has(id) ? ' and must be gone' : ', and nobody wrote it'}`);
  }
  return problems;
}

/** Each row that is gone is named once: by its key, or by the partition that went whole. */
function unlikeReceipts({ gone, changed }: Ending, before: Copy, evidence: Evidence): string[] {
  const { problems, whole } = wholeOf(before, evidence);
  return [...problems, ...unlike('in receipts', [...gone, ...changed], [...evidence.named, ...whole])];
}

/** Rows that went with a partition: those of it that no batch had deleted before. */
export function wholeOf(before: Copy, { dropped, named }: Evidence): { whole: string[]; problems: string[] } {
  const earlier = new Set(named);
  const parts = dropped.map(({ leaf, rows }) => ({
    leaf,
    rows,
    inside: [...before.rows.values()].filter((row) => row.leaf === leaf && !earlier.has(row.id)),
  }));
  return {
    whole: parts.flatMap(({ inside }) => inside.map((row) => row.id)),
    problems: parts.flatMap(({ leaf, rows, inside }) =>
      inside.length === rows ? [] : [`the receipt of ${leaf} says ${rows} rows, it had ${inside.length}`],
    ),
  };
}

function unlikeFigures(
  { gone, changed }: Ending,
  wanted: ReturnType<typeof handedOver>,
  { runs, evidence }: Happened,
): string[] {
  const sum = (of: (run: Happened['runs'][number]) => number) => runs.reduce((all, run) => all + of(run), 0);
  const rows = sum((r) => r.deleted) + sum((r) => r.dependantsDeleted);
  const had = gone.size + changed.size;
  const files = sum((r) => r.filesQueued);
  return [
    rows === had ? '' : `the runs say ${rows} rows went, ${had} had to`,
    files === wanted.files.length ? '' : `the runs say ${files} files, ${wanted.files.length} had to go`,
    evidence.bytes === wanted.bytes ? '' : `the receipts say ${evidence.bytes} bytes, not ${wanted.bytes}`,
  ].filter((x) => x !== '');
}

/** The same, each as often. */
export function unlike(where: string, wanted: readonly string[], found: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const id of wanted) counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const id of found) counts.set(id, (counts.get(id) ?? 0) - 1);
  return [...counts].flatMap(([id, n]) => {
    if (n === 0) return [];
    return n > 0 ? [`${id} is not ${where}`] : [`${id} is ${where}, ${-n} times too often`];
  });
}
