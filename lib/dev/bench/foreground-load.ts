/** The process that foreground.ts starts: loads until asked to stop, then sends how long each operation took. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { Operation } from './foreground';

const CLIENTS = 8;
/** 20 ms between two operations of a client: 400 a second in all, far from what the server can do. */
const INTERVAL_MS = 20;

async function load(url: string, ids: readonly string[]): Promise<void> {
  const clients = Array.from({ length: CLIENTS }, () => new Client(url));
  await Promise.all(clients.map((c) => c.connect()));
  const operations: Operation[] = [];
  let over = false;
  process.once('message', () => {
    over = true;
  });
  process.send!('ready');
  const began = performance.now();
  await Promise.all(
    clients.map(async (client, lane) => {
      let due = began + (lane * INTERVAL_MS) / CLIENTS;
      for (let i = lane; !over; i += CLIENTS) {
        await sleep(Math.max(0, due - performance.now()));
        await client.query(
          i % (2 * CLIENTS) < CLIENTS
            ? 'select * from quiz_responses where id = $1'
            : 'update quiz_responses set updated_at = now() where id = $1',
          [ids[i % ids.length]],
        );
        // From when it was due: a server that stalls delays everything behind it, too.
        operations.push([due - began, performance.now() - due]);
        due += INTERVAL_MS;
      }
    }),
  );
  await Promise.all(clients.map((c) => c.end()));
  process.send!(operations, () => process.disconnect());
}

process.once('message', ({ url, ids }: { url: string; ids: readonly string[] }) => void load(url, ids));
