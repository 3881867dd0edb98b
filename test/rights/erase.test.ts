import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { artifacts } from '@/lib/example/policies/artifacts';
import { days } from '@/lib/policies/contract';
import { purgeOf } from '@/lib/policies/purge';
import { confirmRequest, type ErasureRequest, eraseSubject, resumeErasures } from '@/lib/rights/erase';
import { left, receipted } from '../support/engine';
import { type Files, files, picturesPolicy, suffixed } from '../support/files';

let f: Files;
afterEach(() => f?.stop());

const order = (f: Files, id: string, scope: 'organization' | 'user' = 'organization') => ({
  subject: { scope, id },
  reason: 'request 12',
  actor: 'ann',
  correlationId: 'test',
  deadline: new Date(f.now().getTime() + 240_000),
  dryRun: false,
});

/** As ann asks and, where it is needed, ben confirms. */
const erase = async (services: Files['services'], request: ErasureRequest) => {
  const asked = await eraseSubject(services, request);
  if (asked.outcome !== 'waiting') return asked;
  return confirmRequest(services, { ...request, actor: 'ben', id: asked.id!, reason: 'checked' });
};

/** Rows of two organizations, of all ages, one without a clock, one marked as deleted. */
async function two() {
  f = await files();
  const [mine, theirs] = [randomUUID(), randomUUID()];
  await f.rows([
    { age: 0.01, file: suffixed(1), org: mine },
    { age: 400, file: suffixed(2), org: mine },
    { age: 5, file: 'pictures/plain/3.png', org: mine },
    { age: 5, file: null, org: mine },
    { age: 0.01, file: suffixed(4), org: theirs },
    { age: 400, file: suffixed(5), org: theirs },
  ]);
  await f.db.sql('update pictures set at = null where file is null');
  await f.db.sql("update pictures set deleted_at = now() where file = 'pictures/plain/3.png'");
  await f.upload(suffixed(1), suffixed(2), 'pictures/plain/3.png', suffixed(4), suffixed(5));
  f.pass(5);
  return { mine, theirs };
}

describe('an erasure', () => {
  it('where no policy governs anything is done at once, and says that nothing was found', async () => {
    f = await files();
    const result = await eraseSubject({ ...f.services, policies: [] }, order(f, randomUUID(), 'user'));
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 0 });
    expect(result.message).toContain('0 rows');
  });

  it('takes everything of the subject whatever its age, rows and files, and leaves others alone', async () => {
    const { mine } = await two();
    const result = await erase(f.services, order(f, mine));
    expect(result).toMatchObject({
      outcome: 'succeeded',
      deleted: 4,
      files: 3,
      bytes: 30,
      kept: 0,
      outbox: { deleted: 3 },
    });
    expect(f.stored()).toEqual([suffixed(4), suffixed(5)]);
    expect(await left(f.db, 'pictures')).toBe(2);
    expect([...(await receipted(f.db)).values()]).toEqual([1, 1, 1, 1]);
    const receipts = await f.db.sql('select distinct reason, actor, policy from retention.receipt');
    expect(receipts).toEqual([{ reason: 'erasure', actor: 'ben', policy: 'pictures' }]);
    expect(await f.db.sql('select state, scope, subject, reason from retention.erasure')).toEqual([
      { state: 'done', scope: 'organization', subject: mine, reason: 'request 12' },
    ]);
  });

  it('of a table that is purged goes by its policy, marked rows with those that are not', async () => {
    const { mine } = await two();
    const strategy = { kind: 'soft-delete' as const, column: 'deleted_at', purgeAfter: days(14) };
    const soft = picturesPolicy({ strategy });
    Object.assign(f.services, { policies: [soft, purgeOf(soft)!] });
    expect(await erase(f.services, order(f, mine))).toMatchObject({ outcome: 'succeeded', deleted: 4 });
    expect(await f.db.sql('select distinct policy from retention.receipt')).toEqual([{ policy: 'pictures' }]);
  });

  it('is predicted exactly by its dry run, which touches nothing', async () => {
    const { mine } = await two();
    const dry = await eraseSubject(f.services, { ...order(f, mine), dryRun: true });
    expect(dry).toMatchObject({ mode: 'dry_run', deleted: 4, files: 3, bytes: 30, kept: 0 });
    expect(await left(f.db, 'pictures')).toBe(6);
    expect(await left(f.db, 'retention.erasure')).toBe(0);
    expect(f.stored()).toHaveLength(5);
  });

  it('says so when there is nothing', async () => {
    await two();
    const result = await erase(f.services, order(f, randomUUID()));
    expect(result).toMatchObject({
      outcome: 'succeeded',
      deleted: 0,
      message: expect.stringMatching(/^0 rows: nothing of this subject/),
    });
    expect(await f.db.sql('select state from retention.erasure')).toEqual([{ state: 'done' }]);
  });

  it('keeps what a hold holds, stays open, and finishes when it is released', async () => {
    const { mine } = await two();
    const [held] = await f.db.sql<{ id: string }>(
      "select id::text from pictures where file = 'pictures/plain/3.png'",
    );
    await f.db.sql(
      "insert into retention.hold (scope, subject, table_name, reason, placed_by) values ('item', $1, 'public.pictures', 'matter 7', 'bob')",
      [held!.id],
    );
    expect(await erase(f.services, order(f, mine))).toMatchObject({
      outcome: 'interrupted',
      reason: 'kept',
      deleted: 3,
      kept: 1,
    });
    expect(f.stored()).toContain('pictures/plain/3.png');
    expect(await f.db.sql('select state from retention.erasure')).toEqual([{ state: 'open' }]);
    await f.db.sql(
      "update retention.hold set released_by = 'cy', released_at = now(), release_reason = 'over'",
    );
    f.pass(5);
    expect(await resumeErasures(f.services, { ...order(f, mine), dryRun: true })).toMatchObject({
      outcome: 'skipped',
    });
    expect(await resumeErasures(f.services, order(f, mine))).toMatchObject({
      outcome: 'succeeded',
      erasures: [{ outcome: 'succeeded', deleted: 4, kept: 0 }],
    });
    expect(await left(f.db, 'retention.erasure')).toBe(1);
  });

  it('cannot be ended while something is kept, a table is unfinished, or the check is not through and clean', async () => {
    const { mine } = await two();
    await f.db.sql(
      "insert into retention.hold (scope, subject, table_name, reason, placed_by) select 'item', id::text, 'public.pictures', 'matter 7', 'bob' from pictures where file = 'pictures/plain/3.png'",
    );
    expect(await erase(f.services, order(f, mine))).toMatchObject({ outcome: 'interrupted', kept: 1 });
    const finished = async () => {
      const [rows] = await f.services.database.transaction(
        [
          {
            text: "select retention.finish_erasure(id, 'cron', '{}') as ended from retention.erasure",
            params: [],
          },
        ],
        { timeoutMs: 5_000 },
      );
      return rows?.[0]?.ended;
    };
    expect(await finished()).toBe(false);
    await f.db.sql("update retention.erasure_step set kept = '{}', outcome = 'interrupted'");
    expect(await finished()).toBe(false);
    await f.db.sql("update retention.erasure_step set outcome = 'succeeded'");
    expect(await finished()).toBe(false);
    const clean = { next: null, entry: null, found: {}, unread: [], filesFound: 0, filesOpen: 0 };
    for (const wrong of [
      { next: { part: 1, block: 0 } },
      { entry: '7' },
      { found: { 'public.pictures': { org: 1 } } },
      { unread: ['public.pictures'] },
      { filesFound: 1 },
      { filesOpen: 1 },
    ]) {
      await f.db.sql('update retention.erasure set checked = $1', [JSON.stringify({ ...clean, ...wrong })]);
      expect(await finished(), JSON.stringify(wrong)).toBe(false);
    }
    await f.db.sql('update retention.erasure set checked = $1', [JSON.stringify(clean)]);
    expect(await finished()).toBe(true);
  });

  it('wins over an extension', async () => {
    const { mine } = await two();
    await f.db.sql(
      `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by)
       select 'public.pictures', id::text, 'infinity', 'wish', 'bob' from pictures where org = $1`,
      [mine],
    );
    expect(await erase(f.services, order(f, mine))).toMatchObject({
      outcome: 'succeeded',
      deleted: 4,
    });
  });

  it('that the preflight refuses deletes nothing, and its record ends with the reason', async () => {
    const { mine } = await two();
    await f.db.sql('drop trigger lapse_guard on pictures');
    expect(await erase(f.services, order(f, mine))).toMatchObject({
      outcome: 'errored',
      reason: 'preflight',
      deleted: 0,
    });
    expect(await left(f.db, 'pictures')).toBe(6);
    expect(
      await f.db.sql('select outcome, reason, finished_at is not null as ended from retention.run'),
    ).toEqual([{ outcome: 'errored', reason: 'preflight', ended: true }]);
  });

  it('that reaches a table nobody has decided about deletes nothing, stays open and names the line to write', async () => {
    const { mine } = await two();
    await f.db.sql('create table notes (picture uuid references pictures on delete cascade)');
    const result = await erase(f.services, order(f, mine));
    expect(result).toMatchObject({ outcome: 'errored', reason: 'undecided', deleted: 0 });
    expect(result.problems).toEqual([
      {
        problem: 'public.notes (picture) refers to public.pictures, whose rows go',
        remedy:
          "write in lib/policies/data-map.ts 'public.notes': { kept: '… say why, or name its policy', confidential: { delete: ['picture'] } }, or, where such rows are someone else’s, 'public.notes': { kept: '… say why, or name its policy', detach: ['picture'] },",
      },
    ]);
    expect(await left(f.db, 'pictures')).toBe(6);
    expect(await left(f.db, 'retention.run')).toBe(0);
    expect(await f.db.sql('select state from retention.erasure')).toEqual([{ state: 'open' }]);
    const dry = await eraseSubject(f.services, { ...order(f, mine), dryRun: true });
    expect(dry).toMatchObject({ outcome: 'errored', reason: 'undecided', problems: result.problems });
  });

  it('leaves the cursor of the policy’s own pass where it is', async () => {
    const { mine } = await two();
    await f.rows(Array.from({ length: 6 }, (_, i) => ({ age: 40 + i, file: null })));
    await f.runNow(f.policy, { batchSize: 2, limit: 4 });
    const key = `${f.services.redis.prefix}pictures:cursor`;
    const cursor = await f.services.redis.get(key);
    expect(cursor).toContain('"processed":4');
    expect(await erase(f.services, order(f, mine))).toMatchObject({ outcome: 'succeeded' });
    expect(await f.services.redis.get(key)).toBe(cursor);
  });

  it('waits for a run of the policy, and the next call continues', async () => {
    const { mine } = await two();
    const key = `${f.services.redis.prefix}pictures:lease`;
    await f.services.redis.eval("redis.call('set', KEYS[1], 'another-run', 'px', 60000)", [key], []);
    expect(await erase(f.services, order(f, mine))).toMatchObject({
      outcome: 'interrupted',
      reason: 'locked',
      deleted: 0,
    });
    await f.services.redis.eval("redis.call('del', KEYS[1])", [key], []);
    expect(await erase(f.services, order(f, mine))).toMatchObject({
      outcome: 'succeeded',
      deleted: 4,
    });
  });

  it.each([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14])(
    'killed at database request %i and called again, ends as if undisturbed',
    async (at) => {
      const { mine } = await two();
      const database = f.services.database;
      let n = 0;
      const services = {
        ...f.services,
        settings: { ...f.services.settings, batchSize: 2 },
        database: {
          transaction: (...a: Parameters<typeof database.transaction>) =>
            ++n === at ? Promise.reject(new Error('killed')) : database.transaction(...a),
        },
      };
      await erase(services, order(f, mine)).catch(() => undefined);
      f.pass(200);
      await f.services.redis.eval(
        "redis.call('del', KEYS[1])",
        [`${f.services.redis.prefix}pictures:lease`],
        [],
      );
      const result = await erase(f.services, order(f, mine));
      expect(result.outcome).toBe('succeeded');
      await f.drain();
      expect(f.stored()).toEqual([suffixed(4), suffixed(5)]);
      expect(await left(f.db, 'pictures')).toBe(2);
      expect([...(await receipted(f.db)).values()]).toEqual([1, 1, 1, 1]);
    },
  );

  it('takes an enterprise organization whose artifacts are kept forever, with all their files', async () => {
    f = await files();
    const services = { ...f.services, policies: [artifacts] };
    const [org] = await f.db.sql<{ id: string }>(
      "insert into organizations (name) values ('big') returning id::text",
    );
    await f.db.sql(
      "insert into subscriptions (organization_id, plan, status) values ($1, 'enterprise', 'active')",
      [org!.id],
    );
    await f.db.sql(
      `with a as (insert into artifacts (organization_id, kind, storage_key, size_bytes)
         select $1, 'video_clip', 'artifacts/' || n || '.mp4', 10 from generate_series(1, 5) n returning id, storage_key)
       insert into artifact_files (artifact_id, storage_key, size_bytes) select id, storage_key || '.thumb', 10 from a`,
      [org!.id],
    );
    await f.upload(...[1, 2, 3, 4, 5].flatMap((n) => [`artifacts/${n}.mp4`, `artifacts/${n}.mp4.thumb`]));
    f.pass(5);
    expect(await erase(services, order(f, org!.id))).toMatchObject({
      outcome: 'succeeded',
      deleted: 5,
      files: 10,
      bytes: 100,
    });
    expect(f.stored()).toEqual([]);
    expect(
      await f.db.sql(
        'select event, total_orgs::int, artifacts_deleted::int, bytes_freed::int from retention.audit_event',
      ),
    ).toEqual([
      { event: 'ARTIFACT_RETENTION_DELETE', total_orgs: 1, artifacts_deleted: 5, bytes_freed: 100 },
    ]);
  });
});
