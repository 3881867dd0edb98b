/**
 * A small foreground load: clients that read one row and change another in turn, at an even rate, and note how
 * long each took from when it was due. Only rows that stay are touched: what is measured is being in the way. In a
 * process of its own, so that it does not wait for the runner's own event loop.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** When it was due since the load began, and how long after that it was done; milliseconds. */
export type Operation = readonly [dueMs: number, tookMs: number];

export interface Latency {
  readonly operations: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Loads the server while `work` runs; returns its result and every operation. */
export async function during<T>(url: string, ids: readonly string[], work: () => Promise<T>) {
  const load = fork(fileURLToPath(new URL('./foreground-load.ts', import.meta.url)));
  try {
    load.send({ url, ids });
    await once(load, 'message');
    const result = await work();
    const ended = once(load, 'message') as Promise<[Operation[]]>;
    load.send('stop');
    const [operations] = await ended;
    return { result, operations };
  } finally {
    load.kill();
  }
}

export function latencyOf(operations: readonly Operation[]): Latency {
  const sorted = operations.map(([, took]) => took).sort((a, b) => a - b);
  const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
  return { operations: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

/**
 * How well a p99 repeats in windows of so many seconds: the largest of the whole windows of these recordings over the
 * smallest. Null where there are not two.
 */
export function repeats(recordings: readonly (readonly Operation[])[], seconds: number): number | null {
  const all = recordings.flatMap((operations) => {
    const windows = Math.floor(((operations.at(-1)?.[0] ?? 0) + 1_000) / (seconds * 1_000));
    return Array.from(
      { length: windows },
      (_, i) => latencyOf(operations.filter(([due]) => Math.floor(due / (seconds * 1_000)) === i)).p99,
    );
  });
  return all.length < 2 ? null : Math.max(...all) / Math.min(...all);
}
