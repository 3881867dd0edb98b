/** What keeps a file whose row has gone: a stop, a pause, a hold; answered means in force. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MOST_WAITING } from '@/lib/files/room';
import { appLogin } from '../support/app-login';
import { type Files, files, suffixed } from '../support/files';
import { act, OPERATORS } from '../support/operators';

let f: Files;
beforeEach(async () => {
  f = await files({ env: { LAPSE_OPERATORS: OPERATORS } });
});
afterEach(() => f?.stop());

const ORG = randomUUID();
const ages = (n: number, more: { org?: string; person?: string } = {}) =>
  Array.from({ length: n }, (_, i) => ({ age: 40, file: suffixed(i), ...more }));

/** Rows gone, their files waiting. */
async function waiting(rows: readonly { age: number; file: string; org?: string; person?: string }[]) {
  const ids = await f.rows(rows);
  await f.upload(...rows.map((r) => r.file));
  f.cloud.setFaults((r) => (r.service === 'blob' ? { kind: 'refuse', status: 503 } : undefined));
  await f.runNow();
  f.cloud.setFaults(undefined);
  f.pass(86_400);
  return ids;
}
const place = (hold: Record<string, unknown>) =>
  act(f.services, 'alice', { action: 'hold.place', reason: 'matter 1', ...hold });
const done = (answer: { status: number; body: unknown }) => {
  expect(answer).toMatchObject({ status: 200 });
  return answer.body as { subject: string };
};

describe('a file whose row has gone', () => {
  it('stays while everything is stopped, and is deleted after the stop', async () => {
    await waiting(ages(2));
    done(await act(f.services, 'alice', { action: 'all.stop', reason: 'wrong rows' }));
    expect(await f.drain()).toMatchObject({ outcome: 'skipped', reason: 'stopped', deleted: 0, open: 2 });
    expect(f.stored()).toHaveLength(2);
    done(await act(f.services, 'bob', { action: 'all.resume', reason: 'mended' }));
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  });

  it('stays while its policy is paused', async () => {
    await waiting(ages(2));
    done(await act(f.services, 'alice', { action: 'policy.pause', policy: 'pictures', reason: 'look' }));
    expect(await f.drain({ patienceMs: 60_000 })).toMatchObject({
      outcome: 'interrupted',
      reason: 'paused',
      deleted: 0,
    });
    expect(f.stored()).toHaveLength(2);
    done(await act(f.services, 'bob', { action: 'policy.resume', policy: 'pictures', reason: 'well' }));
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  });

  it.each(['organization', 'user', 'item'] as const)(
    'stays under a hold on its %s placed afterwards, until it is released',
    async (scope) => {
      const person = randomUUID();
      const [first] = await waiting([
        { age: 40, file: suffixed(0), org: ORG, person },
        { age: 40, file: suffixed(1), org: randomUUID(), person: randomUUID() },
      ]);
      // A subject that no row of any table has left is refused; another row of the same still has it.
      await f.rows([{ age: 1, file: null as never, org: ORG, person }]);
      const subject = { organization: ORG, user: person, item: first! }[scope];
      const held = await f.db.sql<{ id: string }>(
        `insert into retention.hold (scope, subject, table_name, reason, placed_by) values ($1, $2, $3, 'm', 'alice') returning id`,
        [scope, subject, scope === 'item' ? 'public.pictures' : null],
      );
      expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 1, held: 1 });
      expect(f.stored()).toEqual([suffixed(0)]);
      expect(await f.entries()).toEqual({ deleted: 1, held: 1 });
      done(await act(f.services, 'bob', { action: 'hold.release', id: held[0]!.id, reason: 'closed' }));
      f.pass(1);
      expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 1 });
      expect(f.stored()).toEqual([]);
    },
  );

  it('stays for as long as one of the rows that named it is held', async () => {
    await waiting([
      { age: 40, file: suffixed(0), org: ORG },
      { age: 41, file: suffixed(0), org: randomUUID() },
    ]);
    await f.rows([{ age: 1, file: null as never, org: ORG }]);
    done(await place({ scope: 'organization', subject: ORG }));
    expect(await f.drain()).toMatchObject({ deleted: 0, held: 2 });
    expect(f.stored()).toHaveLength(1);
  });

  it('is not deleted after a hold, a stop or a pause has been answered, whenever that comes', async () => {
    for (const [round, body] of [
      { action: 'all.stop', reason: 'now' },
      { action: 'hold.place', scope: 'organization', subject: ORG, reason: 'now' },
      { action: 'policy.pause', policy: 'pictures', reason: 'now' },
    ].entries()) {
      await f.db.sql('truncate retention.outbox');
      // Names of an application's own: each looked at, then deleted alone.
      const rows = Array.from({ length: 60 }, (_, i) => ({
        age: 40,
        file: `pictures/${round}/${i}.png`,
        org: ORG,
      }));
      await waiting(rows);
      await f.rows([{ age: 1, file: null as never, org: ORG }]);
      f.cloud.setFaults((r) => (r.service === 'blob' ? { kind: 'delay', ms: 15 } : undefined));
      // It comes in the middle of a page: when it is answered, what is there is what stays.
      const blob = f.services.blob!;
      let looks = 0;
      let answered: Promise<string[]> | null = null;
      const head: typeof blob.head = (...of) => {
        looks += 1;
        if (looks === 20) {
          answered = act(f.services, 'alice', body).then((answer) => {
            done(answer);
            return f.stored(`pictures/${round}/`);
          });
        }
        return blob.head(...of);
      };
      Object.assign(f.services, { blob: { ...blob, head } });
      await f.drain();
      const then = await answered!;
      await f.drain();
      expect(f.stored(`pictures/${round}/`)).toEqual(then);
      Object.assign(f.services, { blob });
      f.cloud.setFaults(undefined);
      await f.db.sql(
        'update retention.kill_switch set stopped = false, stopped_by = null, reason = null, stopped_at = null',
      );
      await f.db.sql('update retention.policy_state set paused = false');
      await f.db.sql(
        "update retention.hold set released_by = 'bob', released_at = now(), release_reason = 'x' where released_at is null",
      );
    }
  });
});

describe('an orphan', () => {
  it('is not queued while everything is stopped, and is kept by a hold on the name of its folder', async () => {
    await f.db.sql(
      `insert into retention.blob_finding (kind, path, bytes, uploaded_at, first_scan, last_scan, scans, first_seen_at, last_seen_at)
       select 'orphan', p, 10, now() - interval '9 days', gen_random_uuid(), '00000000-0000-4000-8000-000000000001', 2, now() - interval '2 days', now()
       from unnest(array['pictures/${ORG}/a.png', 'pictures/b.png', 'elsewhere/c.png', 'pictures/x%41.png']) p`,
    );
    const queue = () =>
      f.services.database
        .transaction(
          [
            {
              text: `select queued::int from retention.queue_orphans('00000000-0000-4000-8000-000000000001', now(), 86400, 43200, 100, '{pictures/}', 'cron')`,
              params: [],
            },
          ],
          { timeoutMs: 10_000 },
        )
        .then((rows) => rows[0]?.[0]?.queued);
    await f.db.sql(
      "update retention.kill_switch set stopped = true, stopped_by = 'a', reason = 'r', stopped_at = now()",
    );
    expect(await queue()).toBeNull();
    await f.db.sql(
      'update retention.kill_switch set stopped = false, stopped_by = null, reason = null, stopped_at = null',
    );
    expect(await queue()).toBe(2);
    const [entry] = await f.db.sql(
      "select actor, detail from retention.audit_entry where action = 'orphans.queued'",
    );
    expect(entry).toMatchObject({
      actor: 'cron',
      detail: { files: 2, bytes: 20, digest: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    expect(JSON.stringify(entry)).not.toContain('pictures');
    await f.upload(`pictures/${ORG}/a.png`, 'pictures/b.png');
    await f.db.sql(
      `insert into retention.hold (scope, subject, reason, placed_by) values ('organization', '${ORG}', 'm', 'alice')`,
    );
    f.pass(7_200);
    expect(await f.drain()).toMatchObject({ deleted: 1, held: 1 });
    expect(f.stored()).toEqual([`pictures/${ORG}/a.png`]);
  });
});

describe('an entry of the outbox', () => {
  it('is written by a batch with its receipt, and in no other way with the rights of the app', async () => {
    await waiting(ages(1));
    const app = await appLogin(f.db);
    try {
      const [run] = await f.db.sql<{ run: string }>('select run from retention.outbox');
      const entry = (of: string, seq: string) =>
        `insert into retention.outbox (run, seq, policy, table_name, row_key, url, prefix) values (${of}, ${seq}, 'pictures', 'public.pictures', 'x', 'pictures/live.png', 'pictures/')`;
      expect(await app.refusal(entry(`'${run!.run}'`, '1'))).toBe('LP012');
      expect(await app.refusal(entry(`'${run!.run}'`, '99'))).toBe('LP012');
      expect(await app.refusal(entry('null', 'null'))).toBe('LP012');
      expect(await app.refusal("update retention.outbox set url = 'pictures/live.png'")).toBe('42501');
    } finally {
      await app.end();
    }
  });
});

describe('a name', () => {
  it('outside its column’s prefix, or that can be read in another way, deletes nothing and raises an incident', async () => {
    const host = new URL(f.services.blob!.bases[0]!).host;
    const live = 'outputs/live.mp4';
    const hostile = [
      live,
      `/${live}`,
      `https://${host}/${live}`,
      `https://${host}/pictures/../${live}`,
      `https://${host}/pictures/%2e%2e/${live}`,
      `pictures/../${live}`,
      `https://${host}/${live}#x`,
      `https://${host}/outputs\\live.mp4`,
      `https://${host}/out\tputs/live.mp4`,
      'https://cdn.example.com/pictures/a.png',
      `https://${host}/pictures/%ff.png`,
    ];
    await f.upload(live);
    await f.rows(hostile.map((file) => ({ age: 40, file })));
    expect(await f.runNow()).toMatchObject({ outcome: 'succeeded', deleted: hostile.length });
    f.pass(1);
    await f.drain();
    expect(f.stored()).toEqual([live]);
    expect(await f.entries()).toEqual({ dead: hostile.length });
    expect(await f.db.sql("select cause from retention.incident where cause like 'files.%'")).toEqual([
      { cause: 'files.refused:outbox' },
    ]);
  });

  it('of a live row keeps the file in whatever spelling', async () => {
    const host = new URL(f.services.blob!.bases[0]!).host;
    const spelled = (n: number) => [
      `/pictures/${n}/ü.png`,
      `https://${host}/pictures/${n}/%c3%bc.png`,
      `https://${host}/pictures/${n}/%C3%BC.png?download=1`,
      `https://${host}/pictures/${n}/%C3%BC.png#t=10`,
      `HTTPS://${host.toUpperCase()}/%70ictures/${n}/ü.png`,
      `https://cdn.example.com/pictures/${n}/%C3%BC.png`,
    ];
    const n = spelled(0).length;
    for (let i = 0; i < n; i += 1) {
      await f.rows([
        { age: 40, file: `pictures/${i}/ü.png` },
        { age: 1, file: spelled(i)[i]! },
      ]);
      await f.upload(`pictures/${i}/ü.png`);
    }
    await f.runNow();
    f.pass(1);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 0, referenced: n });
    expect(f.stored()).toHaveLength(n);
  });
});

describe('an outbox that grows', () => {
  it('holds back rows that name files at a limit, and says why', async () => {
    await f.rows(ages(3));
    const fill = (n: number) =>
      f.db.sql(
        `insert into retention.outbox (policy, table_name, row_key, url, next_attempt_at) select 'blob-reconcile', '(store)', 'x', 'pictures/' || i, now() + interval '1 day' from generate_series(1, $1::int) i`,
        [n],
      );
    await fill(MOST_WAITING - 2);
    // Two more may wait; the batch that passes the limit is the last.
    expect(await f.runNow(f.policy, { batchSize: 1 })).toMatchObject({
      outcome: 'interrupted',
      reason: 'outbox',
      deleted: 2,
    });
    const held = await f.runNow();
    expect(held).toMatchObject({ outcome: 'skipped', reason: 'outbox', deleted: 0 });
    expect(held.message).toContain('BLOB_READ_WRITE_TOKEN');
    await f.db.sql("delete from retention.outbox where policy = 'blob-reconcile'");
    expect(await f.runNow()).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it('has its dead files tried again by one action, with one entry of the chain', async () => {
    await waiting(ages(5));
    await f.db.sql(
      "update retention.outbox set state = 'dead', error_class = case when id % 5 = 0 then 'name.outside' else 'blob.transient' end",
    );
    const retry = (more: object = {}) =>
      act(f.services, 'alice', {
        action: 'letter.retry-all',
        kind: 'file',
        policy: 'pictures',
        reason: 'the store is back',
        ...more,
      });
    expect((await retry({ most: 3 })).body).toMatchObject({ detail: { letters: 3 } });
    expect(await f.entries()).toEqual({ dead: 2, pending: 3 });
    expect((await retry()).body).toMatchObject({ detail: { letters: 1 } });
    expect(await retry()).toMatchObject({ status: 404 });
    expect(await retry({ policy: 'nothing' })).toMatchObject({
      status: 404,
      body: { error: { field: 'policy' } },
    });
    expect(
      await f.db.sql(
        "select action, actor, detail from retention.audit_entry where action = 'files.retried' order by n",
      ),
    ).toEqual([
      { action: 'files.retried', actor: 'alice', detail: { letters: 3 } },
      { action: 'files.retried', actor: 'alice', detail: { letters: 1 } },
    ]);
  });
});
