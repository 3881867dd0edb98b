/**
 * The restoration that docs/BACKUP.md describes, carried out against a real PostgreSQL: a history with runs, a hold and an
 * erasure, a mistake, a restore to the moment before it, and then every step of the document, each with what it must show.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { exportHead, readHead } from '../../../operators/audit/head';
import { verify } from '../../../operators/audit/verify';
import { eraseSubject } from '../../../rights/erase';
import { createDatabase } from '../../local-cloud/roles';
import { migrate } from '../../migrate';
import { Backups, type Server } from './backup';
import { type Check, Checks } from './checks';
import { DATABASE, type Lapse, lapseOver, SCHEMA, writeLetters } from './letters';
import { copyLogically } from './logical';

export interface Rehearsal {
  readonly checks: readonly Check[];
  /** From the decision to restore until the restored server answers, and until a first run has succeeded on it. */
  readonly seconds: { readonly restored: number; readonly running: number };
  /** How the logical copy was made. */
  readonly copiedBy: string;
}

const POINT = 'before_the_mistake';
const POLICY = 'letters';

/** `folder` is emptied first. */
export async function rehearse(options: { folder: string; letters: number }): Promise<Rehearsal> {
  const { letters } = options;
  const folder = resolve(options.folder);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const backups = new Backups(folder, randomBytes(16).toString('hex'));
  const checks = new Checks();
  let server = await backups.startArchived();
  try {
    const before = await live(backups, server, join(folder, 'cloud'), letters);
    await server.running.stop();
    const started = Date.now();
    server = await backups.restoreTo(POINT);
    const restored = (Date.now() - started) / 1000;
    const lapse = await lapseOver(server, join(folder, 'cloud'));
    try {
      await afterRestoring(lapse, before, checks);
      const running = (Date.now() - started) / 1000;
      const copiedBy = await copyLogically(server, lapse, checks);
      return { checks: checks.all, seconds: { restored, running }, copiedBy };
    } finally {
      await lapse.stop();
    }
  } finally {
    await server.running.stop();
  }
}

interface Before {
  readonly letters: string;
  readonly headBefore: { n: number; hash: string };
  readonly headLost: { n: number; hash: string };
  /** What operators decided after the point: a copy of these entries is all that is left of it. */
  readonly lost: readonly { action: string; detail: Record<string, unknown> }[];
  readonly runner: { run: string; fence: string; version: string };
}

const FINGERPRINT = `select count(*) || ' ' || coalesce(md5(string_agg(l::text, ',' order by id)), '') as letters from letters l`;

/** The life of the database that will be lost. */
async function live(backups: Backups, server: Server, folder: string, letters: number): Promise<Before> {
  await createDatabase(server.url('postgres'), DATABASE);
  const lapse = await lapseOver(server, folder);
  try {
    await migrate(server.url(DATABASE), { sets: ['retention'], direction: 'up' });
    await lapse.sql(SCHEMA);
    await lapse.sql(writeLetters(letters, 0, 60));
    await lapse.run(30);
    await backups.takeBase(server);
    // After the copy: this part comes back from the archived log.
    await lapse.sql(`select retention.place_hold('ann', 'matter 1', 'user', 'p1', null)`);
    await lapse.sql(writeLetters(Math.ceil(letters / 10), 31, 60));
    const headBefore = readHead((await exportHead(lapse.services))!);
    const [at] = await lapse.sql<{ letters: string }>(FINGERPRINT);
    await lapse.sql('select pg_create_restore_point($1)', [POINT]);
    return { letters: at!.letters, headBefore, ...(await loseTheRest(lapse)) };
  } finally {
    await lapse.stop();
  }
}

/** What happens after the point: the mistake, and what people decided before it was noticed. */
async function loseTheRest(lapse: Lapse): Promise<Omit<Before, 'letters' | 'headBefore'>> {
  const [{ n = 0 } = {}] = await lapse.sql<{ n: number }>(
    'select max(n)::int as n from retention.audit_entry',
  );
  await lapse.run(1);
  await lapse.sql(`select retention.place_hold('ann', 'matter 2', 'user', 'p2', null)`);
  await eraseSubject(lapse.services, {
    subject: { scope: 'user', id: 'p3' },
    reason: 'request 3',
    dryRun: false,
    actor: 'ann',
    correlationId: randomUUID(),
    deadline: new Date(Date.now() + 120_000),
  });
  // Leaves a cursor in Redis, far behind what a restoration brings back.
  await lapse.sql(writeLetters(40, 31, 32));
  await lapse.run(30, { limit: 20, batchSize: 20 });
  const runner = { run: randomUUID(), version: 'lost' };
  const [begun] = await lapse.sql<{ fence: string }>(
    `select fence::text from retention.begin_run($1, $2, $3, now(), 'cron', 'cron', 'c')`,
    [POLICY, runner.run, runner.version],
  );
  const headLost = readHead((await exportHead(lapse.services))!);
  const lost = await lapse.sql<Before['lost'][number]>(
    `select action, detail from retention.audit_entry where n > $1 and action in ('hold.placed', 'erasure.requested') order by n`,
    [n],
  );
  await lapse.sql('select pg_switch_wal()');
  return { headLost, lost, runner: { ...runner, fence: begun!.fence } };
}

async function afterRestoring(lapse: Lapse, before: Before, checks: Checks): Promise<void> {
  const { services, sql } = lapse;
  await sql(`select retention.stop_all('ann', 'restored: look first')`);
  const stopped = await lapse.run(30);
  checks.see(
    'stopped first: no run deletes anything',
    'skipped stopped',
    `${stopped.outcome} ${stopped.reason}`,
  );
  const [now] = await sql<{ letters: string }>(FINGERPRINT);
  checks.see('every row is as it was at the moment that was chosen', before.letters, now?.letters);

  checks.see('the audit chain is whole', [], (await verify(services.database)).problems);
  const known = await verify(services.database, { known: before.headBefore });
  checks.see('it continues from the head that was exported before that moment', true, known.ok);
  const cut = await verify(services.database, { known: before.headLost });
  checks.see(
    'a head from after it shows what was lost',
    ['cut off'],
    cut.problems.map((p) => p.kind),
  );

  checks.see('a runner of the lost time may delete nothing', 'LP002', await enterAs(lapse, before.runner));

  const held = await sql(`select subject from retention.hold where released_at is null order by 1`);
  checks.see('holds from before that moment are in force, later ones are not', [{ subject: 'p1' }], held);
  checks.see(
    'the copy of the entries says what was decided since, and has to be done again',
    ['hold.placed', 'erasure.requested'],
    before.lost.map((e) => e.action),
  );
  await sql(`select retention.place_hold('ann', 'matter 2, again after the restore', 'user', 'p2', null)`);
  await sql(`select retention.resume_all('ben', 'what was lost has been done again')`);
  const erased = await eraseSubject(services, {
    subject: { scope: 'user', id: 'p3' },
    reason: 'request 3, again after the restore',
    dryRun: false,
    actor: 'ann',
    correlationId: randomUUID(),
    deadline: new Date(Date.now() + 120_000),
  });
  const [p3] = await sql(`select count(*)::int as n from letters where person = 'p3'`);
  checks.see(
    'an erasure that was lost is asked again and done',
    ['succeeded', { n: 0 }],
    [erased.outcome, p3],
  );
  await runAgain(lapse, before, checks);
}

/** Of what has expired the held rows stay, by SQL that does not ask the engine. */
const EXPIRED = `select coalesce(array_agg(id::text order by id::text), '{}') as ids from letters
  where written_at < now() - interval '30 days' and person not in ('p1', 'p2')`;

async function runAgain(lapse: Lapse, before: Before, checks: Checks): Promise<void> {
  const { services, sql } = lapse;
  const [expired] = await sql<{ ids: string[] }>(EXPIRED);
  const run = await lapse.run(30);
  const named = await sql<{ ids: string[] }>(
    `select coalesce(array_agg(k order by k), '{}') as ids from retention.receipt r, unnest(retention.keys_of(r)) k where r.run = $1`,
    [run.runId],
  );
  checks.see(
    'a cursor of the lost time in Redis hides nothing: the run ends drained',
    'succeeded',
    run.outcome,
  );
  checks.see('it deletes exactly what has expired and is not held', expired?.ids, named[0]?.ids);
  checks.see('there was something to delete', true, (expired?.ids.length ?? 0) > 0);
  const [left] = await sql(EXPIRED);
  checks.see('nothing of it is left', { ids: [] }, left);
  await untilFence(lapse, before.runner.fence);
  checks.see(
    'not even when a run of today has the number of its fence',
    'LP002',
    await enterAs(lapse, before.runner),
  );
  checks.see('the chain is whole after it', [], (await verify(services.database)).problems);
}

/** A restoration brings old numbers of the fence back, so that they are given out twice. */
async function untilFence(lapse: Lapse, number: string): Promise<void> {
  const MOST = 20;
  for (let runs = 0; runs < MOST; runs += 1) {
    const [state] = await lapse.sql<{ fence: string }>('select fence::text from retention.policy_state');
    if (state?.fence === number) return;
    await lapse.run(30);
  }
  throw new Error(`the fence does not come to ${number} again`);
}

/** The answer of the database to a batch of that run: its error's code, or null when it lets it in. */
async function enterAs(lapse: Lapse, { run, fence, version }: Before['runner']): Promise<string | null> {
  try {
    await lapse.sql(
      `do $$ begin set local statement_timeout = '5s'; set local lock_timeout = '500ms';
        perform retention.enter_batch('${POLICY}', ${fence}, '${run}', 1, '${version}'); end $$`,
    );
    return null;
  } catch (error) {
    return (error as { code?: string }).code ?? 'unknown';
  }
}
