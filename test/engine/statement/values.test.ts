/** A row's own values never stop the others of its policy. */
import { afterEach, expect, it } from 'vitest';
import { judge } from '@/lib/files/outbox';
import { fileReferencesOf } from '@/lib/files/references';
import { type Files, files, suffixed } from '../../support/files';

let f: Files;
afterEach(() => f?.stop());

it('names that decode to nothing and sizes that overflow stop nobody: every row goes, once', async () => {
  f = await files();
  const host = new URL(f.services.blob!.bases[0]!).host;
  await f.rows([
    { age: 40, file: `https://${host}/pictures/%ff.png` },
    { age: 40, file: `https://${host}/pictures/a%00b.png` },
    { age: 40, file: `pictures/${'界'.repeat(4_000)}.png` },
    { age: 40, file: 'pictures/a.png', bytes: 9_223_372_036_854_775_000 },
    { age: 40, file: 'pictures/b.png', bytes: 9_223_372_036_854_775_000 },
    { age: 40, file: 'pictures/c.png', bytes: -5 },
    { age: 40, file: suffixed(1) },
  ]);
  expect(await f.runNow()).toMatchObject({
    outcome: 'succeeded',
    deleted: 7,
    filesQueued: 7,
    bytesFreed: 2 * 5_000_000_000_000 + 4 * 10,
  });
  expect(await f.db.sql('select * from retention.dead_letter')).toEqual([]);
});

it('sums of sizes stop where every reader of them still can read', async () => {
  f = await files();
  await f.db.sql(
    `insert into pictures (at, file, bytes) select now() - interval '40 days', 'pictures/' || i, 9000000000000000000 from generate_series(1, 2000) i`,
  );
  f.pass(1);
  const dry = await f.runNow(f.policy, { dryRun: true });
  expect(dry.preview).toMatchObject({ expired: 2_000, bytes: Number.MAX_SAFE_INTEGER });
  expect(await f.runNow()).toMatchObject({
    outcome: 'succeeded',
    deleted: 2_000,
    bytesFreed: Number.MAX_SAFE_INTEGER,
  });
});

it('a row whose file cannot be queued becomes a dead letter, and the others go in the same run', async () => {
  f = await files();
  await f.rows(Array.from({ length: 30 }, (_, i) => ({ age: 40, file: suffixed(i) })));
  await f.db.sql(`alter table retention.outbox add constraint no_seventh check (url not like '%x7.png')`);
  expect(await f.runNow()).toMatchObject({ outcome: 'succeeded', deleted: 29, batches: 1 });
  expect(
    await f.db.sql('select distinct sql_state, constraint_name, state from retention.dead_letter'),
  ).toEqual([{ sql_state: '23514', constraint_name: 'no_seventh', state: 'open' }]);
  expect(await f.db.sql('select count(*)::int as n from pictures')).toEqual([{ n: 1 }]);
});

it('asks whether a live row names a file through the index of its canonical form, however large the table', async () => {
  f = await files();
  await f.db.sql(
    `insert into pictures (at, file) select now(), 'pictures/' || i || '.png' from generate_series(1, 50000) i`,
  );
  await f.db.sql('analyze pictures');
  await f.rows([{ age: 40, file: 'pictures/7.png' }]);
  await f.runNow();
  const { text, params } = judge(
    { references: fileReferencesOf([f.policy]), hosts: ['store'], folders: ['pictures/'] },
    f.now(),
  );
  const session = await f.db.session();
  await session.sql('begin');
  await session.sql('set local enable_seqscan = off; set local enable_bitmapscan = off');
  await session.sql(`select retention.lock_files(100, now() + interval '1 year')`);
  const plan = await session.sql<{ 'QUERY PLAN': string }>(
    `explain (analyze, timing off) ${text}`,
    params as unknown[],
  );
  await session.sql('rollback');
  session.end();
  const lines = plan.map((r) => r['QUERY PLAN']).join('\n');
  expect(lines).toMatch(/Index (Only )?Scan using pictures_blob_path_idx on pictures/);
  expect(lines).not.toMatch(/Seq Scan on pictures/);
});
