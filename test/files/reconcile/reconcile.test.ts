import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ReconcileRequest, reconcile } from '@/lib/files/reconcile/reconcile';
import { type Files, files, picturesPolicy, suffixed } from '../../support/files';

let f: Files;
beforeEach(async () => {
  f = await files({
    policy: {
      files: [{ column: 'file', bytes: 'bytes', fate: 'delete', prefix: 'pictures/', suffixed: true }],
    },
  });
});
afterEach(() => f?.stop());

const request = (): ReconcileRequest => ({
  correlationId: 'test',
  deadline: new Date(f.now().getTime() + 240_000),
  dryRun: false,
  mayDelete: true,
  trigger: 'manual',
});
const scan = (changes: Partial<ReconcileRequest> = {}) => reconcile(f.services, { ...request(), ...changes });
const HOURS = 3_600;
const old = (...paths: string[]) =>
  f.cloud.blob.putMany(
    paths.map((pathname) => ({
      pathname,
      content: 'x',
      uploadedAt: new Date(f.now().getTime() - 30 * 24 * HOURS * 1000),
    })),
  );
const findings = () =>
  f.db.sql<{ kind: string; path: string; state: string; scans: number }>(
    'select kind, path, state, scans from retention.blob_finding order by kind, path, id',
  );

describe('an orphan', () => {
  it('goes only when two scans, hours apart, have seen it', async () => {
    await old('pictures/orphan.png', suffixed(1));
    await f.rows([{ age: 1, file: suffixed(1) }]);
    expect(await scan()).toMatchObject({
      outcome: 'succeeded',
      listed: 2,
      orphans: 1,
      queued: 0,
      missing: 0,
    });
    f.pass(HOURS);
    expect(await scan()).toMatchObject({ orphans: 1, queued: 0 });
    f.pass(12 * HOURS);
    expect(await scan()).toMatchObject({ orphans: 1, queued: 1, queuedBytes: 1 });
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(f.stored()).toEqual([suffixed(1)]);
    expect(await findings()).toMatchObject([
      { kind: 'orphan', path: 'pictures/orphan.png', state: 'queued', scans: 3 },
    ]);
  });

  it('is what no content names either, also below the prefix of its files', async () => {
    await f.db.sql(`create table bodies (id int primary key, path text); grant select on bodies to lapse_app;
      create index on bodies (retention.blob_path(path)); insert into bodies values (1, 'bodies/named.bin'), (2, 'pictures/named.png')`);
    await old('bodies/named.bin', 'pictures/named.png', 'bodies/orphan.bin');
    const fate = 'with-last-reference' as const;
    const body = [{ column: 'path', fate: 'delete' as const, prefix: 'bodies/' }];
    const content = {
      table: { name: 'bodies' },
      key: [{ column: 'id', type: 'integer' }],
      files: body,
      fate,
    };
    const policies = [picturesPolicy({ contents: [{ ...content, references: [['body']] }] })];
    const found = await reconcile({ ...f.services, policies }, request());
    expect(found).toMatchObject({ outcome: 'succeeded', listed: 3, orphans: 1, missing: 0 });
    expect((await findings()).map((x) => x.path)).toEqual(['bodies/orphan.bin']);
  });

  it('uploaded again under its path is another one, to be seen twice from there', async () => {
    await old('pictures/orphan.png');
    expect(await scan()).toMatchObject({ orphans: 1, queued: 0 });
    f.pass(13 * HOURS);
    await f.cloud.blob.putMany([
      {
        pathname: 'pictures/orphan.png',
        content: 'another',
        uploadedAt: new Date(f.now().getTime() - 29 * 24 * HOURS * 1000),
      },
    ]);
    expect(await scan()).toMatchObject({ orphans: 1, queued: 0 });
    expect(await findings()).toMatchObject([{ state: 'open', scans: 1 }]);
    f.pass(13 * HOURS);
    expect(await scan()).toMatchObject({ orphans: 1, queued: 1 });
  });

  it('is only reported until deleting is switched on', async () => {
    await old('pictures/orphan.png');
    for (let i = 0; i < 4; i += 1) {
      expect(await scan({ mayDelete: false })).toMatchObject({ mode: 'report', orphans: 1, queued: 0 });
      f.pass(13 * HOURS);
    }
    expect(f.stored()).toHaveLength(1);
    expect(await f.entries()).toEqual({});
  });

  it('younger than the grace period stays: its row may be on the way', async () => {
    await f.upload('pictures/fresh.png');
    await scan();
    f.pass(13 * HOURS);
    expect(await scan()).toMatchObject({ orphans: 1, queued: 0 });
    f.pass(13 * HOURS);
    expect(await scan()).toMatchObject({ orphans: 1, queued: 1 });
  });

  it('that a row names by then is kept, also after it was queued', async () => {
    await old('pictures/a.png', 'pictures/b.png');
    await scan();
    f.pass(13 * HOURS);
    await f.rows([{ age: 0, file: 'pictures/a.png' }]);
    expect(await scan()).toMatchObject({ orphans: 1, queued: 1 });
    await f.rows([{ age: 0, file: 'pictures/b.png' }]);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 0, referenced: 1 });
    expect(f.stored()).toHaveLength(2);
    expect(await findings()).toMatchObject([
      { path: 'pictures/a.png', state: 'resolved' },
      { path: 'pictures/b.png' },
    ]);
  });

  it('outside the declared prefixes is never looked at', async () => {
    await old('elsewhere/a.png', 'pictures.png', 'picturesque/b.png');
    await scan();
    f.pass(13 * HOURS);
    expect(await scan()).toMatchObject({ listed: 0, orphans: 0 });
    expect(f.stored()).toHaveLength(3);
  });

  it('that waits in the outbox is not an orphan', async () => {
    await f.rows([{ age: 40, file: 'pictures/a.png' }]);
    await old('pictures/a.png');
    await f.runNow();
    expect(await scan()).toMatchObject({ listed: 1, orphans: 0 });
  });

  it('and its fellows go within the cap of a scan', async () => {
    await old(...Array.from({ length: 1_005 }, (_, i) => suffixed(i)));
    await scan();
    f.pass(13 * HOURS);
    expect(await scan()).toMatchObject({ listed: 1_005, orphans: 1_005, queued: 1_000 });
    f.pass(13 * HOURS);
    await f.drain();
    expect(await scan()).toMatchObject({ listed: 5, queued: 5 });
  });
});

describe('a missing file', () => {
  it('is reported with its row, and closed when it is there or the row is gone', async () => {
    const [, second] = await f.rows([
      { age: 1, file: 'pictures/here.png' },
      { age: 1, file: 'pictures/lost.png' },
      { age: 1, file: 'pictures/back.png' },
    ]);
    await old('pictures/here.png');
    expect(await scan()).toMatchObject({ checked: 3, missing: 2, orphans: 0 });
    expect(
      await f.db.sql(
        "select table_name, row_key from retention.blob_finding where path = 'pictures/lost.png'",
      ),
    ).toEqual([{ table_name: 'public.pictures', row_key: second }]);
    await old('pictures/back.png');
    await f.db.sql("delete from pictures where file = 'pictures/lost.png'");
    expect(await scan()).toMatchObject({ missing: 0 });
    expect(await findings()).toMatchObject([{ state: 'resolved' }, { state: 'resolved' }]);
  });
});

describe('a scan', () => {
  it('out of time continues from its cursor in the next call, and sees everything once', async () => {
    const paths = Array.from({ length: 2_500 }, (_, i) => suffixed(i));
    await old(...paths);
    await f.rows(paths.slice(0, 450).map((file) => ({ age: 1, file })));
    let looks = 0;
    // The clock runs out at every fourth look at it.
    const services = {
      ...f.services,
      clock: () => new Date(f.now().getTime() + (++looks % 4 === 0 ? 600_000 : 0)),
    };
    const results = [];
    for (let calls = 0; calls < 40; calls += 1) {
      const result = await reconcile(services, {
        correlationId: 'test',
        deadline: new Date(f.now().getTime() + 240_000),
        dryRun: false,
        mayDelete: false,
        trigger: 'manual',
      });
      results.push(result);
      if (result.outcome === 'succeeded') break;
      expect(result).toMatchObject({ outcome: 'interrupted', reason: 'time' });
    }
    expect(results.length).toBeGreaterThan(2);
    expect(new Set(results.map((r) => r.scan)).size).toBe(1);
    const [row] = await f.db.sql(
      'select listed::int, checked_rows::int, finished_at is not null as done from retention.blob_scan',
    );
    expect(row).toEqual({ listed: 2_500, checked_rows: 450, done: true });
    expect((await findings()).filter((x) => x.kind === 'orphan')).toHaveLength(2_050);
  });

  it('survives a store that fails, and finishes later', async () => {
    await old('pictures/orphan.png');
    f.cloud.setFaults((r) =>
      r.service === 'blob' ? { kind: 'refuse', status: 503, code: 'service_unavailable' } : undefined,
    );
    expect(await scan()).toMatchObject({ outcome: 'interrupted', reason: 'blob.transient', orphans: 0 });
    f.cloud.setFaults(undefined);
    expect(await scan()).toMatchObject({ outcome: 'succeeded', orphans: 1 });
  });

  it('touches nothing in a dry run, and is begun by the cron once a day', async () => {
    await old('pictures/orphan.png');
    expect(await scan({ dryRun: true })).toMatchObject({ outcome: 'skipped', reason: 'dry_run' });
    expect(await findings()).toEqual([]);
    expect(await scan({ trigger: 'cron' })).toMatchObject({ outcome: 'succeeded' });
    f.pass(HOURS);
    expect(await scan({ trigger: 'cron' })).toMatchObject({ outcome: 'skipped', reason: 'recent' });
    f.pass(24 * HOURS);
    expect(await scan({ trigger: 'cron' })).toMatchObject({ outcome: 'succeeded' });
  });
});

it('without a store nothing is compared, and the answer says which setting is missing', async () => {
  const bare = { ...f.services, blob: undefined };
  const answer = await reconcile(bare, {
    correlationId: 'test',
    deadline: new Date(f.now().getTime() + 240_000),
    dryRun: false,
    mayDelete: true,
    trigger: 'manual',
  });
  expect(answer).toMatchObject({ outcome: 'errored', reason: 'settings' });
  expect(answer.message).toContain('BLOB_READ_WRITE_TOKEN');
});

it('while everything is stopped no orphan is handed over, however ripe', async () => {
  await old('pictures/orphan.png');
  await scan();
  f.pass(13 * HOURS);
  await f.db.sql(`select retention.stop_all('ann', 'drill')`);
  expect(await scan()).toMatchObject({ outcome: 'succeeded', orphans: 1, queued: 0 });
  expect(await findings()).toMatchObject([{ state: 'open' }]);
  await f.db.sql(`select retention.resume_all('ben', 'over')`);
  f.pass(HOURS);
  expect(await scan()).toMatchObject({ queued: 1 });
});

it('a store that refuses the token ends the scan with an error, and nothing is found missing', async () => {
  await old('pictures/orphan.png');
  f.cloud.setFaults((r) =>
    r.service === 'blob' ? { kind: 'refuse', status: 403, code: 'forbidden' } : undefined,
  );
  expect(await scan()).toMatchObject({ outcome: 'errored', orphans: 0, missing: 0 });
  f.cloud.setFaults(undefined);
  expect(await findings()).toEqual([]);
});

it('a cursor that nobody can read begins the scan anew', async () => {
  await old('pictures/orphan.png');
  const key = `${f.services.redis.prefix}blob-reconcile:cursor`;
  await f.services.redis.eval("return redis.call('set', KEYS[1], ARGV[1])", [key], ['{"id":1']);
  expect(await scan()).toMatchObject({ outcome: 'succeeded', orphans: 1 });
});
