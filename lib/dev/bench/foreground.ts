/**
 * A small foreground load: clients that read one row and change another in turn, at an even rate, and note how
 * long each took from when it was due. Only rows that stay are touched: what is measured is being in the way. In a
 * process of its own, so that it does not wait for the runner's own event loop.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Latency {
  readonly operations: number;
  readonly p50: number;
  readonly p99: number;
}

/** Loads the server while `work` runs; returns its result and the latencies, in milliseconds. */
export async function during<T>(url: string, ids: readonly string[], work: () => Promise<T>) {
  const load = fork(fileURLToPath(new URL('./foreground-load.ts', import.meta.url)));
  try {
    load.send({ url, ids });
    await once(load, 'message');
    const result = await work();
    const ended = once(load, 'message') as Promise<[number[]]>;
    load.send('stop');
    const [took] = await ended;
    return { result, latency: summary(took) };
  } finally {
    load.kill();
  }
}

function summary(took: readonly number[]): Latency {
  const sorted = [...took].sort((a, b) => a - b);
  const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
  return { operations: sorted.length, p50: at(0.5), p99: at(0.99) };
}
