/** Whoever has the app's login and nothing else has no file deleted that no policy deletes, by the deployed Lapse neither. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keepArchives } from '@/lib/rights/archives/upkeep';
import { type AppLogin, appLogin } from '../support/app-login';
import { type Archived, archivedFiles } from '../support/archived';
import { suffixed } from '../support/files';

let e: Archived;
let app: AppLogin;
beforeEach(async () => {
  e = await archivedFiles();
  app = await appLogin(e.db);
  await app.sql("set statement_timeout = '10s'; set lock_timeout = '1s'");
});
afterEach(async () => {
  await app?.end();
  await e?.stop();
});

/** Of others, of the erasures' ledger, and of an archive that a receipt names. */
async function precious(): Promise<string[]> {
  await e.upload(suffixed(1), 'invoices/1.pdf', 'lapse/erasures/x/entry');
  await e.rows([{ age: 40, file: suffixed(1) }]);
  await e.runNow();
  e.pass(60);
  await e.drain();
  expect(await e.archives()).toMatchObject([{ state: 'kept', rows: 1 }]);
  const all = e.stored();
  expect(all.filter((path) => path.startsWith('archives/')).length).toBeGreaterThan(1);
  return all;
}

async function openRun(): Promise<{ run: string; fence: string }> {
  const run = randomUUID();
  const [begun] = await app.sql(
    "select fence::text from retention.begin_run('pictures', $1, 'v1', now(), 'cron', 'cron', 'c')",
    [run],
  );
  return { run, fence: String(begun?.fence) };
}

/** An hour and more later, so that nothing waits for a look of the store's clock. */
const drainLater = () => {
  e.pass(7_200);
  return e.drain();
};

it('as an orphan that it found itself', async () => {
  const paths = await precious();
  const scan = randomUUID();
  await app.sql(
    `insert into retention.blob_finding (kind, path, bytes, uploaded_at, first_scan, last_scan, scans, first_seen_at, last_seen_at)
     select 'orphan', p, 1, now() - interval '9 days', $2, $2, 2, now() - interval '9 days', now() from unnest($1::text[]) p`,
    [paths, scan],
  );
  const [queued] = await app.sql(
    `select queued::int from retention.queue_orphans($1, now(), 0, 0, 100, '{archives/,invoices/,lapse/}', 'blob-reconcile')`,
    [scan],
  );
  expect(queued).toEqual({ queued: paths.length });
  expect(await drainLater()).toMatchObject({ deleted: 0, refused: paths.length });
  expect(e.stored()).toEqual(paths);
});

it.each([
  ['a row', 'public.pictures'],
  ['an archive', '(archive)'],
])('as a file of %s that a batch of its own deleted', async (_, table) => {
  const paths = await precious();
  const [key] = await e.rows([{ age: 40, file: null }]);
  const { run, fence } = await openRun();
  await app.sql('begin');
  await app.sql(`select retention.enter_batch('pictures', $1, $2, 1, 'v1')`, [fence, run]);
  await app.sql('delete from pictures where id = $1', [key]);
  await app.sql(
    `select retention.write_receipt($1, 1, 'delete', 'retention', now(), 'public.pictures', array[$2], null, '{}', '{}',
       1, 1, 0, $3, 0, 1, '{}', '{}')`,
    [run, key, paths.length],
  );
  await app.sql(
    `insert into retention.outbox (run, seq, policy, table_name, row_key, url, bytes, prefix)
     select $1, 1, 'pictures', $3, gen_random_uuid()::text, p, 1, split_part(p, '/', 1) || '/' from unnest($2::text[]) p`,
    [run, paths, table],
  );
  await app.sql(`select retention.confirm_batch($1, 1, null)`, [run]);
  await app.sql('commit');
  expect(await drainLater()).toMatchObject({ deleted: 0, refused: paths.length });
  expect(e.stored()).toEqual(paths);
});

it('as what is left in the folder of an archive that it began', async () => {
  const paths = await precious();
  const [{ prefix } = { prefix: '' }] = await e.archives();
  const { run } = await openRun();
  for (const at of ['archives/pictures/', prefix, `${prefix}${randomUUID()}/`]) {
    const begun = app.refusal(`select retention.open_archive($1, $2, 1, 'public.pictures', $3)`, [
      randomUUID(),
      run,
      at,
    ]);
    expect(await begun, at).toBe('22023');
  }
  await app.sql("select retention.end_run('pictures', $1, 'succeeded', null, now(), 0, '{}', 'within_sla')", [
    run,
  ]);
  await e.db.sql(`update retention.archive set created_at = now() - interval '2 hours'`);
  expect(await keepArchives(e.services, () => true)).toMatchObject({ discarded: 0 });
  await drainLater();
  expect(e.stored()).toEqual(paths);
});

it('as the old files of an archive that it says it wrote anew elsewhere', async () => {
  await precious();
  const [of] = await e.db.sql<{ id: string; sha: string; prefix: string }>(
    'select id, manifest_sha256 as sha, prefix from retention.archive',
  );
  const anew = (prefix: string) =>
    app.refusal('select retention.replace_archive($1, $2, $3)', [
      of!.id,
      of!.sha,
      JSON.stringify({ prefix, sha256: of!.sha, rows: 0, dependants: 0, files: 0, bytes: 0, paths: ['x'] }),
    ]);
  for (const prefix of ['archives/pictures/', of!.prefix, `archives/pictures/2026-01-01/${randomUUID()}/`]) {
    expect(await anew(prefix), prefix).toBe('22023');
  }
});
