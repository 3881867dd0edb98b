/**
 * A small foreground load: clients that read one row and change another in turn, at an even rate, and note how
 * long each took from when it was due. Only rows that stay are touched: what is measured is being in the way.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

const CLIENTS = 4;
/** 25 ms between two operations of a client: 160 a second in all, far from what the server can do. */
const INTERVAL_MS = 25;

export interface Latency {
  readonly operations: number;
  readonly p50: number;
  readonly p99: number;
}

/** Loads the server while `work` runs; gives its result and the latencies. */
export async function during<T>(url: string, ids: readonly string[], work: () => Promise<T>) {
  const clients = Array.from({ length: CLIENTS }, () => new Client(url));
  await Promise.all(clients.map((c) => c.connect()));
  const took: number[] = [];
  let over = false;
  const loops = clients.map(async (client, lane) => {
    let due = performance.now() + (lane * INTERVAL_MS) / CLIENTS;
    for (let i = lane; !over; i += CLIENTS) {
      await sleep(Math.max(0, due - performance.now()));
      const id = ids[i % ids.length];
      await client.query(
        i % (2 * CLIENTS) < CLIENTS
          ? 'select * from quiz_responses where id = $1'
          : 'update quiz_responses set updated_at = now() where id = $1',
        [id],
      );
      // From when it was due: a server that stalls delays everything behind it, too.
      took.push(performance.now() - due);
      due += INTERVAL_MS;
    }
  });
  try {
    const result = await work();
    return { result, latency: summary(took) };
  } finally {
    over = true;
    await Promise.allSettled(loops);
    await Promise.all(clients.map((c) => c.end()));
  }
}

function summary(took: readonly number[]): Latency {
  const sorted = [...took].sort((a, b) => a - b);
  const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
  return { operations: sorted.length, p50: at(0.5), p99: at(0.99) };
}
