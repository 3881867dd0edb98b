/**
 * `npm run demo -- [--rows N] [--port P] [--exit]`: the main job from nothing, on this machine: the local
 * cloud, the schema, the rows, the built app, and every cron route called over HTTP as Vercel calls it, first
 * dry, then for real. Ends with code 1 when a single row is not where it should be. Then the console, on a store of its own that
 * has a month behind it; `--exit` ends before that.
 */
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import { Client } from 'pg';
import { seed } from '../../example/seed';
import { policies } from '../../policies';
import { build, freePort, startApp } from '../demo/app';
import type * as Scene from '../demo/scene';
import { differences, isKnown, remember } from '../demo/truth';
import { startLocalCloud } from '../local-cloud';
import { migrate } from '../migrate';

const DATABASE = 'lapse_demo';
const CONSOLE_DATABASE = 'lapse_demo_console';
/** Small enough that the largest policy is seen to stop and to resume. */
const BUDGET_SECONDS = 1;
/** A policy that is not drained after so many runs is stuck. */
const MOST_RUNS = 1_000;

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    port: { type: 'string' },
    exit: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});
if (!/^[1-9]\d{0,8}$/.test(values.rows) || (values.port !== undefined && !/^\d{2,5}$/.test(values.port))) {
  console.error('--rows takes a whole number from 1, --port a port');
  process.exit(2);
}
const rows = Number(values.rows);
const say = (line: string) => console.log(line);
const number = (n: number) => n.toLocaleString('en');

say('1/6  the local cloud: PostgreSQL, Neon HTTP, Upstash REST, Vercel Blob');
const cloud = await startLocalCloud({ folder: '.lapse/demo', handleSignals: false });
const closing: (() => Promise<unknown>)[] = [() => cloud.stop()];
async function close(code: number): Promise<never> {
  for (const step of closing.splice(0).reverse()) await step().catch(() => undefined);
  process.exit(code);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void close(130));

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  await close(1);
}

async function main(): Promise<void> {
  await cloud.dropDatabase(DATABASE);
  await cloud.createDatabase(DATABASE);
  const ownerUrl = cloud.ownerUrl(DATABASE);
  say('2/6  the schema: Lapse’s own, and an example of a business');
  await migrate(ownerUrl, { sets: ['retention', 'example'], direction: 'up' });
  say(`3/6  ${number(rows)} quiz responses, 60 % of them expired, and other tables in proportion`);
  await seed(ownerUrl, { rows, asOf: new Date() });

  await build((line) => say(`     ${line}`));
  const port = values.port ? Number(values.port) : await freePort();
  const app = await startApp(
    {
      ...cloud.env(DATABASE),
      VERCEL_ENV: 'production',
      CRON_SECRET: randomBytes(24).toString('hex'),
      LAPSE_NAMESPACE: `demo-${Date.now()}`,
      // The guard rails would rightly stop a first run that deletes most of a table, and then let 10 rows go.
      LAPSE_MASS_DELETION_GUARD: 'off',
      LAPSE_PROGRESSIVE_ROLLOUT: 'off',
    },
    port,
    (line) => values.verbose && say(`     ${line}`),
  );
  closing.push(() => app.stop());
  say(`4/6  the app, at ${app.url}`);

  const owner = new Client(ownerUrl);
  await owner.connect();
  owner.on('error', () => undefined);
  closing.push(() => owner.end());

  const known = policies.filter((p) => isKnown(p.name));
  say('5/6  a dry run of every policy, beside a count in plain SQL');
  const predicted = new Map<string, { dry: number; truth: number; total: number }>();
  const asOf = new Date().toISOString();
  for (const policy of known) {
    const truth = await remember(owner, policy.name, asOf);
    const dry = await app.call(policy.name, policy.schedule.run, { dryRun: '1' });
    predicted.set(policy.name, { dry: dry.preview?.expired ?? -1, truth: truth.expired, total: truth.total });
  }

  say('6/6  for real, each policy until it is drained');
  const table = new Table({
    head: ['policy', 'rows', 'expired', 'dry run', 'deleted', 'kept', 'batches', 'runs', 'seconds', 'rows/s'],
    colAligns: ['left', ...Array<'right'>(9).fill('right')],
    style: { head: [], border: [] },
  });
  const wrong: string[] = [];
  for (const policy of known) {
    const p = predicted.get(policy.name)!;
    const done = await drain(app, policy, p.truth);
    const found = await differences(owner, policy.name);
    if (p.dry !== p.truth) found.push(`the dry run predicted ${p.dry}, ${p.truth} had expired`);
    if (done.outcome !== 'succeeded') found.push(`ended ${done.outcome}: ${done.message}`);
    wrong.push(...found.map((f) => `${policy.name}: ${f}`));
    table.push([
      policy.name,
      number(p.total),
      number(p.truth),
      number(p.dry),
      number(done.deleted),
      number(p.total - done.deleted),
      number(done.batches),
      done.runs,
      done.seconds.toFixed(2),
      done.deleted > 0 ? number(Math.round(done.deleted / Math.max(0.001, done.seconds))) : '',
    ]);
  }
  say(table.toString());
  if (wrong.length > 0) {
    console.error(`Not as it should be:\n${wrong.map((w) => `  - ${w}`).join('\n')}`);
    await close(1);
  }
  say('Every expired row is gone, no other; each is named in exactly one receipt; each dry run was exact.');
  if (values.exit) await close(0);
  await app.stop();
  await showConsole(port);
}

/** What an operator sees on a morning, with a token that was made now and is kept nowhere: `alex` may do everything that one person may. */
async function showConsole(port: number): Promise<void> {
  say('The console, on another store: a month of nights is played, and what went wrong in the last one');
  await cloud.dropDatabase(CONSOLE_DATABASE);
  await cloud.createDatabase(CONSOLE_DATABASE);
  const ownerUrl = cloud.ownerUrl(CONSOLE_DATABASE);
  await migrate(ownerUrl, { sets: ['retention', 'example'], direction: 'up' });
  // Sentry's package shows most of its names to `require` only, and the routes use them.
  const { makeScene } = createRequire(import.meta.url)('../demo/scene.ts') as typeof Scene;
  const scene = await makeScene({
    ownerUrl,
    env: cloud.env(CONSOLE_DATABASE),
    now: new Date(),
    say: (line) => say(`     ${line}`),
  });
  const url = `http://127.0.0.1:${port}`;
  const app = await startApp(
    { ...scene.env, LAPSE_URL: url },
    port,
    (line) => values.verbose && say(`     ${line}`),
  );
  closing.push(() => app.stop());
  say(`
  console   ${app.url}
  token     ${scene.tokens.alex}   (alex, operator and approver; shown once, stored nowhere)
  ask why   ${scene.ask.deleted}   (deleted)
            ${scene.ask.held}   (kept by a hold)
            ${scene.ask.guarded}   (kept: the guard stopped its policy, which waits for an approval)

Ctrl-C stops everything.`);
}

async function drain(
  app: Awaited<ReturnType<typeof startApp>>,
  policy: (typeof policies)[number],
  expired: number,
) {
  const bar = new SingleBar({
    format: `     ${policy.name.padEnd(16)} {bar} {value}/{total}`,
    clearOnComplete: true,
    hideCursor: true,
  });
  bar.start(expired, 0);
  const sum = { deleted: 0, batches: 0, runs: 0, seconds: 0, outcome: '', message: '' };
  try {
    while (sum.runs < MOST_RUNS) {
      const schedule = sum.runs === 0 ? policy.schedule.run : (policy.schedule.resume ?? policy.schedule.run);
      const result = await app.call(policy.name, schedule, { maxSeconds: String(BUDGET_SECONDS) });
      sum.runs += 1;
      sum.deleted += result.deleted;
      sum.batches += result.batches;
      sum.seconds += result.durationSeconds;
      sum.outcome = result.outcome;
      sum.message = result.message;
      bar.update(Math.min(sum.deleted, expired));
      if (result.outcome !== 'interrupted') break;
    }
  } finally {
    bar.stop();
  }
  return sum;
}
