/**
 * Ten thousand rows of three policies, with what goes along and files, are archived, deleted and restored, and are byte for byte
 * what they were; the same with a process that dies between any two calls; with an archive that is damaged nothing is deleted.
 */
import { runPolicy } from '../../../engine/run/run';
import { validateArchive } from '../../../files/archive/validate';
import { drainOutbox } from '../../../files/drain';
import { keepArchives } from '../../../rights/archives/upkeep';
import { confirmArchived, restoreArchived } from '../../../rights/restore/restore';
import type { Services } from '../../../services';
import { differences, filesDigest, fill, POLICIES, rowsLeft, TABLES } from './archived';
import { type ProofCloud, proofCloud } from './cloud';
import type { Part, Proved } from './part';

const ROWS = 10_000;
/** Enough for several batches of each policy, few enough to die at each call of theirs. */
const ROWS_TO_DIE = 20;
const BATCH = 4;
const SETTINGS = {
  LAPSE_MASS_DELETION_GUARD: 'off',
  LAPSE_PROGRESSIVE_ROLLOUT: 'off',
  LAPSE_COOLING_OFF_DAYS: '0',
};

export const archive: Part = {
  name: 'archive',
  async prove(say) {
    const problems: string[] = [];
    const check = (holds: boolean, what: string) => {
      say(`${holds ? 'ok   ' : 'WRONG'} ${what}`);
      if (!holds) problems.push(what);
    };
    const whole = await onCloud(ROWS, (w) => archivedAndBack(w, check));
    const dying = await onCloud(ROWS_TO_DIE, (w) => dyingAnywhere(w, check));
    const damaged = await onCloud(ROWS_TO_DIE, (w) => withDamage(w, check));
    return { figures: { ...whole, ...dying, ...damaged }, problems };
  },
};

type Check = (holds: boolean, what: string) => void;
type Figures = Proved['figures'];

interface World extends ProofCloud {
  readonly services: Services;
}

async function onCloud(rows: number, work: (w: World) => Promise<Figures>): Promise<Figures> {
  const c = await proofCloud({ env: SETTINGS });
  try {
    await fill(c.owner, c.cloud.blob, rows);
    // What died is asked again by the next run, not by the same one.
    const backoff = { retries: 1, minTimeout: 1, maxTimeout: 1, factor: 1, randomize: false };
    return await work({ ...c, services: { ...c.services, policies: POLICIES, backoff } });
  } finally {
    await c.end();
  }
}

const deadlineOf = (w: World) => new Date(w.services.clock().getTime() + 290_000);

const run = (w: World, policy: (typeof POLICIES)[number], batchSize?: number) =>
  runPolicy(w.services, policy, {
    trigger: 'manual',
    actor: 'ann',
    correlationId: 'proof',
    deadline: deadlineOf(w),
    dryRun: false,
    ...(batchSize ? { batchSize } : {}),
  });

const drain = (w: World) => {
  w.pass(3_700);
  return drainOutbox(w.services, { correlationId: 'proof', deadline: deadlineOf(w), dryRun: false });
};

async function archivedAndBack(w: World, check: Check): Promise<Figures> {
  const before = await filesDigest(w.cloud.blob);
  const all = await rowsLeft(w.owner);
  const files = w.stored().length;
  const beganAt = performance.now();
  for (const policy of POLICIES) {
    const result = await run(w, policy);
    check(result.outcome === 'succeeded', `${policy.name}: ${result.deleted} rows: ${result.message}`);
  }
  const archivedSeconds = Math.round((performance.now() - beganAt) / 100) / 10;
  check((await rowsLeft(w.owner)) === 0, `${all} rows of ${TABLES.length} tables are archived and deleted`);
  await drain(w);
  check(w.stored('reports/').length + w.stored('lines/').length === 0, `their ${files} files are gone`);
  const backAt = performance.now();
  await restoreAll(w, check);
  const restoredSeconds = Math.round((performance.now() - backAt) / 100) / 10;
  const different = await differences(w.owner);
  check(different === 0, `${different} rows differ from what they were`);
  check((await filesDigest(w.cloud.blob)) === before, 'every file is what it was');
  for (const policy of POLICIES) {
    const again = await run(w, policy);
    check(again.deleted === 0, `${policy.name}: the next night takes ${again.deleted} restored rows`);
  }
  return { rows: all, files, different, archivedSeconds, restoredSeconds };
}

/** Every run that archived, the last first, by two operators. */
async function restoreAll(w: World, check: Check): Promise<void> {
  const { rows: runs } = await w.owner.query<{ run: string; policy: string }>(
    `select run, policy from retention.archive where state = 'kept' group by 1, 2 order by max(created_at) desc`,
  );
  const call = { token: '', deadline: deadlineOf(w) };
  for (const { run: subject } of runs) {
    const order = { scope: 'run' as const, subject, policy: null, reason: 'proof', keepDays: 30 };
    const asked = await restoreArchived(w.services, { ...order, ...call, actor: 'ann', dryRun: false });
    const done =
      asked.outcome === 'waiting'
        ? await confirmArchived(w.services, { ...call, actor: 'bob', id: asked.id!, reason: 'proof' })
        : asked;
    if (done.outcome !== 'succeeded' || done.problems.length > 0)
      check(
        false,
        `run ${subject}: ${done.outcome}: ${done.message} ${JSON.stringify(done.problems[0] ?? '')}`,
      );
  }
}

/** Dies at the first call, is taken up again, restored and compared; at the second; until a run makes no more calls. */
async function dyingAnywhere(w: World, check: Check): Promise<Figures> {
  const before = await filesDigest(w.cloud.blob);
  let [deaths, different, unproved, stray] = [0, 0, 0, 0];
  for (const policy of POLICIES) {
    for (const done of [false, true]) {
      for (let at = 1; ; at += 1) {
        const died = await dyingAt(w, policy, at, done);
        const after = await run(w, policy, BATCH);
        if (after.outcome !== 'succeeded') check(false, `${policy.name}, call ${at}: ${after.message}`);
        unproved += await badArchives(w);
        await drain(w);
        await restoreAll(w, check);
        different += await differences(w.owner);
        if ((await filesDigest(w.cloud.blob)) !== before) different += 1;
        stray += await strayFiles(w);
        await w.owner.query('truncate retention.extension');
        if (!died) break;
        deaths += 1;
      }
    }
  }
  check(
    deaths > 50,
    `died at ${deaths} calls to the database and the store, before and after they were done`,
  );
  check(different === 0, `${different} rows or files differ after being taken up again and restored`);
  check(unproved === 0, `${unproved} archives that a receipt names are not what was deleted`);
  check(stray === 0, `${stray} files of archives that no receipt names are left`);
  return { deaths, differentAfterDeaths: different };
}

/** All calls fail from number `at` on; `done`: that one was done, and its answer is lost. False: there were not so many. */
async function dyingAt(
  w: World,
  policy: (typeof POLICIES)[number],
  at: number,
  done: boolean,
): Promise<boolean> {
  let calls = 0;
  w.cloud.setFaults(({ service }) => {
    if (service === 'redis') return undefined;
    calls += 1;
    if (calls < at) return undefined;
    return { kind: calls === at && done ? 'drop-after' : 'drop-before' };
  });
  await run(w, policy, BATCH).catch(() => null);
  w.cloud.setFaults(undefined);
  return calls >= at;
}

/** Archives named by receipts that cannot be read, or whose rows are not those of the receipt; rows in two of one deletion. */
async function badArchives(w: World): Promise<number> {
  const { rows } = await w.owner.query<{ prefix: string; sha: string; fits: boolean }>(
    `select a.prefix, a.manifest_sha256 as sha, a.id is not null and a.state in ('kept', 'expired') and a.keys = retention.keys_of(c) as fits
     from retention.receipt c left join retention.archive a on a.id = c.archive and a.run = c.run and a.seq = c.seq
     where c.policy like 'proof-%' and (a.state is null or a.state = 'kept')`,
  );
  const { blob, backoff } = w.services;
  let bad = rows.filter((r) => !r.fits).length;
  for (const { prefix, sha } of rows.filter((r) => r.fits))
    await validateArchive({ blob: blob!, backoff }, prefix, sha).catch(() => {
      bad += 1;
    });
  return bad;
}

/** After the daily look at archives: files below `archives/` that no archive in force names. Then all of them expire. */
async function strayFiles(w: World): Promise<number> {
  await w.owner.query(
    `update retention.archive set created_at = created_at - interval '2 hours', expires_at = now() - interval '1 second' where state in ('open', 'kept')`,
  );
  await keepArchives(w.services, () => true);
  await drain(w);
  return w.stored('archives/').length;
}

async function withDamage(w: World, check: Check): Promise<Figures> {
  const before = await rowsLeft(w.owner);
  const harmed = new Set<string>();
  w.cloud.setFaults(({ service, method }) => {
    if (service !== 'blob' || method !== 'GET') return undefined;
    for (const { pathname } of w.cloud.blob.all('archives/')) {
      if (!pathname.endsWith('.gz') || harmed.has(pathname)) continue;
      harmed.add(pathname);
      void harm(w, pathname);
    }
    return undefined;
  });
  for (const policy of POLICIES) {
    const result = await run(w, policy);
    check(result.reason === 'archive.damaged' && result.deleted === 0, `${policy.name}: ${result.message}`);
  }
  w.cloud.setFaults(undefined);
  const left = await rowsLeft(w.owner);
  check(
    left === before && (await differences(w.owner)) === 0,
    `${before - left} rows deleted under a damaged archive`,
  );
  return { deletedUnderDamage: before - left };
}

async function harm(w: World, pathname: string): Promise<void> {
  const body = Buffer.from(await w.cloud.blob.read(w.cloud.blob.head(pathname)!));
  body[body.length - 9]! ^= 1;
  await w.cloud.blob.put(pathname, body, { access: 'private', allowOverwrite: true });
}
