/**
 * `npm run proof:files [-- --artifacts N] [--organizations N] [--json FILE]`: rows and files of N artifacts over
 * four tiers go together, counted against SQL written by hand and a listing of the store; then the same with 30 %
 * of all blob calls failing, with the process killed at random, and a benchmark of the drain against the store's
 * answer time. Ends with code 1 when a single row or file is not where it should be.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { Client } from 'pg';
import type { RunResult } from '../../engine/run/result';
import { runPolicy } from '../../engine/run/run';
import { seedArtifacts } from '../../example/artifacts';
import { seedBlobs } from '../../example/blobs';
import { artifacts } from '../../example/policies/artifacts';
import { renderJobs } from '../../example/policies/render-jobs';
import { type DrainResult, drainOutbox } from '../../files/drain';
import { createServices, type Services } from '../../services';
import { startLocalCloud } from '../local-cloud';
import { migrate } from '../migrate';
import { chaos, randomOf } from '../proof/chaos';
import { pathsThatStay, type Tier, tiersThatGo } from '../proof/truth';

const { values } = parseArgs({
  options: {
    artifacts: { type: 'string', default: '100000' },
    organizations: { type: 'string', default: '500' },
    json: { type: 'string' },
  },
});
if (![values.artifacts, values.organizations].every((v) => /^[1-9]\d{0,7}$/.test(v))) {
  console.error('--artifacts and --organizations take a whole number from 1');
  process.exit(2);
}
const COUNT = Number(values.artifacts);
const ORGANIZATIONS = Number(values.organizations);
const SHARE = 0.3;
const figures: Record<string, number> = {};
const say = (line: string) => console.log(line);
const number = (n: number) => Math.round(n).toLocaleString('en');
const wrong: string[] = [];
function check(claim: string, holds: boolean, detail = ''): void {
  say(`   ${holds ? 'ok   ' : 'WRONG'} ${claim}${detail ? ` (${detail})` : ''}`);
  if (!holds) wrong.push(claim);
}

const folder = await mkdtemp(join(tmpdir(), 'lapse-proof-'));
const cloud = await startLocalCloud({ folder, durable: false, contents: 'memory', handleSignals: false });
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void close(130));
async function close(code: number): Promise<never> {
  await cloud.stop().catch(() => undefined);
  await rm(folder, { recursive: true, force: true });
  process.exit(code);
}

/** A Lapse on a fresh database, with the files of `COUNT` artifacts in the store. Waiting moves its clock. */
async function fresh(name: string) {
  cloud.setFaults(undefined);
  await cloud.blob.clear();
  await cloud.createDatabase(name);
  await migrate(cloud.ownerUrl(name), { sets: ['retention', 'example'], direction: 'up' });
  const env = cloud.env(name);
  Object.assign(process.env, { VERCEL_BLOB_API_URL: env.VERCEL_BLOB_API_URL });
  let ahead = 0;
  const clock = () => new Date(Date.now() + ahead);
  const services: Services = {
    ...createServices({
      ...env,
      CRON_SECRET: randomBytes(24).toString('hex'),
      VERCEL_ENV: 'production',
      LOG_LEVEL: 'silent',
      LAPSE_NAMESPACE: `proof-${randomUUID()}`,
      // What is measured here is the work; the guard rails have proofs of their own.
      LAPSE_MASS_DELETION_GUARD: 'off',
      LAPSE_PROGRESSIVE_ROLLOUT: 'off',
      LAPSE_COOLING_OFF_DAYS: '0',
    }),
    policies: [artifacts, renderJobs],
    clock,
  };
  const asOf = clock();
  await seedArtifacts(cloud.ownerUrl(name), { artifacts: COUNT, organizations: ORGANIZATIONS, asOf });
  const uploaded = await seedBlobs(cloud.ownerUrl(name), cloud.blob, {
    policies: [artifacts],
    asOf,
    missingEvery: 500,
  });
  const sql = new Client(cloud.ownerUrl(name));
  await sql.connect();
  const stays = await pathsThatStay(sql, asOf);
  const expected = stored().filter((p) => stays.has(p));
  return {
    services,
    sql,
    uploaded,
    expected,
    tiers: await tiersThatGo(sql, asOf),
    pass: (seconds: number) => {
      ahead += seconds * 1000;
    },
    run: (dryRun = false, using: Services = services) =>
      runPolicy(using, artifacts, {
        trigger: 'manual',
        actor: 'proof',
        correlationId: 'proof',
        deadline: new Date(clock().getTime() + 600_000),
        dryRun,
      }),
    drain: (using: Services = services) =>
      drainOutbox(using, {
        correlationId: 'proof',
        deadline: new Date(clock().getTime() + 600_000),
        dryRun: false,
        patienceMs: 300_000,
        wait: async (ms) => {
          ahead += ms;
        },
      }),
    end: async () => {
      await sql.end();
      await cloud.dropDatabase(name);
    },
  };
}

const stored = (prefix?: string): string[] => [...cloud.blob.all(prefix)].map((b) => b.pathname);
const same = (a: readonly string[], b: readonly string[]) =>
  a.length === b.length && a.every((x, i) => x === b[i]);
const sum = (tiers: readonly Tier[], of: 'artifacts' | 'files' | 'bytes') =>
  tiers.reduce((n, t) => n + t[of], 0);
const sorted = <T extends { label: string }>(all: T[]): T[] =>
  all.sort((a, b) => (a.label < b.label ? -1 : 1));
const tiersOf = (r: RunResult) =>
  sorted(Object.entries(r.byRule).map(([label, x]) => ({ label, artifacts: x.deleted, bytes: x.bytes })));

async function drainAll(f: Awaited<ReturnType<typeof fresh>>): Promise<DrainResult> {
  for (let calls = 0; calls < 500; calls += 1) {
    const result = await f.drain();
    if (result.open === 0 || result.outcome === 'errored') return result;
    f.pass(121);
  }
  throw new Error('the outbox was never empty');
}

async function undisturbed(): Promise<void> {
  say(`1  ${number(COUNT)} artifacts of ${number(ORGANIZATIONS)} organizations: dry run, run, drain`);
  const f = await fresh('proof_plain');
  await f.sql.query(
    `with j as (insert into render_jobs (status, created_at) select 'done', now() - interval '30 days' from generate_series(1, 1000) returning id)
     insert into render_outputs (render_job_id, file_url, file_bytes) select id, 'outputs/' || id || '.mp4', 20 from j`,
  );
  await seedBlobs(cloud.ownerUrl('proof_plain'), cloud.blob, {
    policies: [{ ...renderJobs, files: [] }],
    asOf: new Date(),
  });
  const outputs = stored('outputs/');
  const before = stored();
  const calls = chaos(0, 1);
  cloud.setFaults(calls.faults);
  const dry = await f.run(true);
  const predicted = sorted(
    Object.entries(dry.preview!.byRule).map(([label, x]) => ({
      label,
      artifacts: x.expired,
      files: x.files,
      bytes: x.bytes,
    })),
  );
  check(
    'the dry run predicts rows, files and bytes of each tier',
    JSON.stringify(predicted) === JSON.stringify(f.tiers),
  );
  check(
    'the dry run asks the store nothing and changes nothing',
    calls.counts.calls === 0 && same(stored(), before),
  );
  cloud.setFaults(undefined);
  const began = performance.now();
  const run = await f.run();
  const ran = performance.now();
  const drain = await drainAll(f);
  const seconds = { all: (performance.now() - began) / 1000, drain: (performance.now() - ran) / 1000 };
  const table = new Table({ head: ['tier', 'artifacts', 'of them by SQL', 'bytes', 'by SQL'] });
  const got = tiersOf(run);
  for (const t of f.tiers) {
    const mine = got.find((g) => g.label === t.label);
    table.push([
      t.label,
      number(mine?.artifacts ?? 0),
      number(t.artifacts),
      number(mine?.bytes ?? 0),
      number(t.bytes),
    ]);
  }
  say(table.toString());
  const plain = f.tiers.map(({ label, artifacts: n, bytes }) => ({ label, artifacts: n, bytes }));
  check(
    'rows and bytes of each tier equal the independent count',
    JSON.stringify(got) === JSON.stringify(plain),
  );
  check(
    'files handed over equal the independent count',
    run.filesQueued === sum(f.tiers, 'files'),
    number(run.filesQueued),
  );
  check(
    'the store is left with exactly the files that rows name',
    same(stored('artifacts/'), f.expected),
    `${number(before.length)} before, ${number(f.expected.length)} after`,
  );
  await runPolicy(f.services, renderJobs, {
    trigger: 'manual',
    actor: 'proof',
    correlationId: 'proof',
    deadline: new Date(f.services.clock().getTime() + 300_000),
    dryRun: false,
  });
  await drainAll(f);
  check(
    'outputs of render jobs: the same listing before and after',
    same(stored('outputs/'), outputs),
    number(outputs.length),
  );
  const files = sum(f.tiers, 'files');
  Object.assign(figures, {
    artifacts: sum(f.tiers, 'artifacts'),
    files,
    runSeconds: (ran - began) / 1000,
    runAndDrainSeconds: seconds.all,
  });
  say(
    `   run with its drain: ${((ran - began) / 1000).toFixed(1)} s, rest of the drain ${seconds.drain.toFixed(1)} s, outcome ${drain.outcome}; ${number(files / seconds.all)} files/s from row to store`,
  );
  await f.end();
}

async function failing(): Promise<void> {
  say(
    `2  the same with ${SHARE * 100} % of all blob calls failing: errors, lost requests, lost answers, late answers, rate limits`,
  );
  const f = await fresh('proof_chaos');
  const bad = chaos(SHARE, 42, true);
  cloud.setFaults(bad.faults);
  const began = performance.now();
  const run = await f.run();
  const drain = await drainAll(f);
  cloud.setFaults(undefined);
  const now = stored('artifacts/');
  const expected = new Set(f.expected);
  const there = new Set(now);
  const orphans = now.filter((p) => !expected.has(p)).length;
  const lost = f.expected.filter((p) => !there.has(p)).length;
  check('0 orphans, 0 live files lost', orphans === 0 && lost === 0, `${orphans} orphans, ${lost} lost`);
  check('every outbox entry is confirmed, none is dead', drain.outcome === 'succeeded' && drain.dead === 0);
  check('rows went once each', run.deleted === sum(f.tiers, 'artifacts'));
  say(
    `   ${number(bad.counts.failed)} of ${number(bad.counts.calls)} calls failed; ${((performance.now() - began) / 1000).toFixed(1)} s`,
  );
  Object.assign(figures, {
    chaosCalls: bad.counts.calls,
    chaosFailed: bad.counts.failed,
    chaosSeconds: (performance.now() - began) / 1000,
    orphans,
    lost,
  });
  await f.end();
}

async function killed(): Promise<void> {
  say('3  killed at a random call to database or store, again and again, and resumed');
  const f = await fresh('proof_kills');
  const random = randomOf(7);
  let kills = 0;
  for (let attempt = 0; ; attempt += 1) {
    if (attempt > 5_000) throw new Error('never finished');
    let lives = 2 + Math.floor(random() * 60);
    const mortal = <T extends object>(whole: T): T =>
      new Proxy(whole, {
        get: (target, key) => {
          const value = Reflect.get(target, key);
          if (typeof value !== 'function') return value;
          return async (...a: unknown[]) => {
            lives -= 1;
            if (lives > 0) return value.apply(target, a);
            if (lives === 0) {
              kills += 1;
              // Half of the time the call is done and only its answer dies with the process.
              if (random() < 0.5) await value.apply(target, a).catch(() => undefined);
            }
            throw new Error('killed');
          };
        },
      });
    const mine = { ...f.services, database: mortal(f.services.database), blob: mortal(f.services.blob!) };
    const run = await f.run(false, mine).catch(() => null);
    await f.services.redis.eval(
      "redis.call('del', KEYS[1])",
      [`${f.services.redis.prefix}artifacts:lease`],
      [],
    );
    f.pass(125);
    const drain = run === null ? null : await f.drain(mine).catch(() => null);
    f.pass(125);
    if (run?.outcome === 'succeeded' && drain?.outcome === 'succeeded') break;
  }
  check('the same end as undisturbed', same(stored('artifacts/'), f.expected), `${number(kills)} kills`);
  const { rows } = await f.sql.query<{ n: string; twice: string }>(
    'select count(*) as n, count(*) filter (where c > 1) as twice from (select count(*) as c from retention.receipt r, unnest(retention.keys_of(r)) k group by k) x',
  );
  check(
    'each row is in exactly one receipt',
    Number(rows[0]?.n) === sum(f.tiers, 'artifacts') && Number(rows[0]?.twice) === 0,
  );
  figures.kills = kills;
  await f.end();
}

async function bench(): Promise<void> {
  say('4  files per second of the drain, by the store’s answer time');
  const name = 'proof_bench';
  const f = await fresh(name);
  const table = new Table({ head: ['answer time', 'suffixed names, 100 a call', 'plain names, one by one'] });
  for (const ms of [0, 20, 100]) {
    const line: string[] = [`${ms} ms`];
    for (const kind of ['suffixed', 'plain'] as const) {
      const count = kind === 'suffixed' ? 20_000 : ms === 0 ? 4_000 : 1_000;
      const path = (i: number) =>
        kind === 'suffixed' ? `bench/b-${String(i).padStart(30, 'x')}.bin` : `bench/plain-${i}.bin`;
      const paths = Array.from({ length: count }, (_, i) => path(i));
      await cloud.blob.putMany(
        paths.map((pathname) => ({ pathname, content: 'x', uploadedAt: new Date(0) })),
      );
      await f.sql.query('truncate retention.outbox');
      await f.sql.query(
        `insert into retention.outbox (policy, table_name, row_key, url, bytes, prefix, suffixed) select 'artifacts', 'public.artifacts', x, x, 1, 'artifacts/', true from unnest($1::text[]) x`,
        [paths],
      );
      await f.sql.query('analyze retention.outbox');
      f.pass(1);
      cloud.setFaults(
        ms === 0 ? undefined : (r) => (r.service === 'blob' ? { kind: 'delay', ms } : undefined),
      );
      const began = performance.now();
      const result = await f.drain();
      const rate = count / ((performance.now() - began) / 1000);
      cloud.setFaults(undefined);
      check(
        `${number(count)} ${kind} files at ${ms} ms are gone`,
        result.deleted === count && stored('bench/').length === 0,
      );
      line.push(`${number(rate)} /s`);
      figures[`filesPerSecond.${kind}.${ms}ms`] = Math.round(rate);
    }
    table.push(line);
  }
  say(table.toString());
  await f.end();
}

try {
  for (const part of [undisturbed, failing, killed, bench]) await part();
  if (values.json) await writeFile(values.json, `${JSON.stringify({ figures, wrong }, null, 2)}\n`);
  say(
    wrong.length === 0
      ? 'All of it holds.'
      : `${wrong.length} claims do not hold:\n  - ${wrong.join('\n  - ')}`,
  );
} catch (error) {
  console.error(error);
  await close(1);
}
await close(wrong.length === 0 ? 0 : 1);
