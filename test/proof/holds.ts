/**
 * `npm run proof:holds [-- --rounds N] [--seed S] [--control]`: ten thousand random interleavings of holds and batches on
 * real sessions; prints every held row that went after its hold had returned. Code 1 if there is one.
 * `--control` takes the gate away first: the same race then loses rows, so the proof can fail.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Pool } from 'pg';
import { startLocalCloud } from '@/lib/dev/local-cloud';
import { migrate } from '@/lib/dev/migrate';
import { createServices } from '@/lib/services';
import { testRoot } from '../support/folder';
import { interleave } from '../support/interleave';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10000' },
    control: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
  },
});
const [rounds, seed] = [Number(values.rounds), Number(values.seed)];
/** Each lane on a database of its own: more of them than cores widen the windows of the race. */
const LANES = 4;

const folder = await mkdtemp(join(testRoot(), 'lapse-proof-'));
const cloud = await startLocalCloud({ folder, durable: false, handleSignals: false });
const began = performance.now();
let done = 0;

async function lane(i: number) {
  const name = `proof_${i}`;
  await cloud.createDatabase(name);
  await migrate(cloud.ownerUrl(name), { sets: ['retention'], direction: 'up' });
  const pool = new Pool({ connectionString: cloud.ownerUrl(name), max: 4 });
  const services = createServices({
    ...cloud.env(name),
    CRON_SECRET: randomUUID(),
    VERCEL_ENV: 'production',
    LOG_LEVEL: 'silent',
    LAPSE_NAMESPACE: `proof-${i}`,
  });
  const db = {
    sql: async <R extends Record<string, unknown>>(text: string, params: readonly unknown[] = []) =>
      (await pool.query<R>(text, [...params])).rows,
  };
  if (values.control) await pool.query('drop trigger lapse_gate on retention.hold');
  const told = (fresh: readonly string[]) => {
    for (const v of fresh) console.error(`VIOLATION ${v}`);
    done += 1;
    if (done % 500 === 0)
      console.log(`${done} of ${rounds} rounds, ${Math.round((performance.now() - began) / 1000)} s`);
  };
  const seen = await interleave(db, services, { rounds: Math.ceil(rounds / LANES), seed: seed + i, told });
  await pool.end();
  return seen;
}

try {
  const lanes = await Promise.all(Array.from({ length: LANES }, (_, i) => lane(i)));
  const sum = (f: 'rounds' | 'holdsWithRowsLeft' | 'holdsTooLate') => lanes.reduce((n, l) => n + l[f], 0);
  const violations = lanes.flatMap((l) => l.violations);
  console.log(
    `${violations.length} violations in ${sum('rounds')} interleavings, seed ${seed}: ${sum('holdsWithRowsLeft')} holds kept rows, ${sum('holdsTooLate')} came after theirs had gone`,
  );
  process.exitCode = violations.length > 0 ? 1 : 0;
} finally {
  await cloud.stop();
  await rm(folder, { recursive: true, force: true });
}
