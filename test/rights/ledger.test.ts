/** What a restore of the database brings back is erased again; and nothing else is. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verify } from '@/lib/operators/audit/verify';
import { connectRedis } from '@/lib/platform/redis';
import { defineDataMap } from '@/lib/policies/data-map-contract';
import { confirmRequest, eraseSubject, withdrawRequest } from '@/lib/rights/erase';
import { erasuresJob } from '@/lib/rights/job';
import { replayAll } from '@/lib/rights/ledger/replay';
import type { Services } from '@/lib/services';
import { appLogin } from '../support/app-login';
import type { TestDatabase } from '../support/database';
import { engine } from '../support/engine';
import { type Files, files, suffixed } from '../support/files';
import { dump } from '../support/restored';

const KEY = '5a'.repeat(32);
let f: Files;
let env: Record<string, string>;
const opened: { stop(): Promise<void> }[] = [];

beforeEach(async () => {
  env = { LAPSE_RIGHTS_KEY: KEY, LAPSE_NAMESPACE: `test-${randomUUID()}` };
  f = await files({ env });
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.stop();
  await f.stop();
});

const by = (actor = 'ann') => ({
  actor,
  correlationId: 'test',
  deadline: new Date(f.now().getTime() + 240_000),
});
const erase = (services: Services, person: string, reason = 'request 12') =>
  eraseSubject(services, { ...by(), subject: { scope: 'user', id: person }, reason, dryRun: false });
const job = (services: Services, dryRun = false) => {
  f.pass(1);
  return erasuresJob(services, { ...by(), dryRun, trigger: 'cron' });
};
const people = async (n: number): Promise<string[]> => {
  const all = Array.from({ length: n }, () => randomUUID());
  await f.rows(
    all.flatMap((person) => [
      { age: 1, file: null, person },
      { age: 90, file: null, person },
    ]),
  );
  return all;
};
const ledger = () => [...f.cloud.blob.all(`lapse/erasures/`)];
const left = async (db: TestDatabase, person: string) =>
  (await db.sql('select 1 from pictures where person = $1', [person])).length;
const chain = (db: TestDatabase, like: string) =>
  db.sql<{ actor: string; action: string; detail: Record<string, unknown> }>(
    'select actor, action, subject, detail from retention.audit_entry where action like $1 order by n',
    [like],
  );

/** The database of before, under the same environment: the store and the keys are those of today. */
async function restored(from: { restore(): Promise<TestDatabase> }, more: Record<string, string> = {}) {
  const db = await from.restore();
  const token = f.services.settings.blobToken!;
  const e = await engine({ db, env: { BLOB_READ_WRITE_TOKEN: token, ...env, ...more } });
  opened.push(e);
  // The client reads its address from the environment of the process.
  pointAtStore();
  const { clock, policies, dataMap } = f.services;
  const services = { ...e.services, clock, policies, dataMap };
  return { db, services };
}
// biome-ignore lint/correctness/useHookAtTopLevel: no hook of React's, only a name that looks like one
const pointAtStore = () => f.cloud.useBlob();

async function dumped() {
  const taken = await dump(f.db);
  opened.push(taken);
  pointAtStore();
  return taken;
}

describe('a finished erasure', () => {
  it('stands in the private store before it is called done, under no name and no id of the person', async () => {
    const [person = ''] = await people(1);
    expect(await erase(f.services, person)).toMatchObject({ outcome: 'succeeded', ledger: 'kept' });
    const [entry, ...others] = ledger();
    expect(others).toEqual([]);
    expect(entry!.pathname).not.toContain(person);
    expect(entry!.access).toBe('private');
    const content = await f.services.blob!.get(entry!.pathname);
    for (const part of [person, 'request 12', 'ann']) expect(content!.includes(part)).toBe(false);
    expect(await f.db.sql('select ledger from retention.erasure')).toEqual([{ ledger: entry!.pathname }]);
  });

  it('takes the place of no other file, whatever name the database has of the entry before', async () => {
    const [first = '', ...others] = await people(3);
    await erase(f.services, first);
    const [kept] = ledger();
    await f.upload('invoices/1.pdf');
    const app = await appLogin(f.db);
    for (const [i, name] of ['invoices/1.pdf', kept!.pathname].entries()) {
      const broken = { ...f.services.blob!, put: () => Promise.reject(new Error('away')) };
      await erase({ ...f.services, blob: broken }, others[i]!);
      await app.sql(`select retention.note_ledger(id, $1) from retention.erasure where state = 'open'`, [
        name,
      ]);
      expect(await job(f.services)).toMatchObject({ outcome: 'succeeded' });
    }
    await app.end();
    expect(f.stored('invoices/')).toEqual(['invoices/1.pdf']);
    expect(ledger()).toHaveLength(3);
  });

  it('is not called done while the store does not take it, and is by the next call', async () => {
    const [person = ''] = await people(1);
    const broken = {
      ...f.services,
      blob: { ...f.services.blob!, put: () => Promise.reject(new Error('away')) },
    };
    expect(await erase(broken, person)).toMatchObject({
      outcome: 'interrupted',
      reason: 'ledger',
      ledger: 'failed',
    });
    expect(await f.db.sql('select state from retention.erasure')).toEqual([{ state: 'open' }]);
    expect(await job(f.services)).toMatchObject({ outcome: 'succeeded', replay: null });
    expect(await f.db.sql('select state from retention.erasure')).toEqual([{ state: 'done' }]);
    expect(ledger()).toHaveLength(1);
  });

  it('without a key is done and says that no ledger is kept', async () => {
    const [person = ''] = await people(1);
    const services = { ...f.services, settings: { ...f.services.settings, rightsKeys: [] } };
    expect(await erase(services, person)).toMatchObject({ outcome: 'succeeded', ledger: 'off' });
    expect(await replayAll(services, false)).toBeNull();
    expect(ledger()).toEqual([]);
  });
});

describe('after a restore', () => {
  it('rows that name the person by an address alone go again, although nobody has that address any more', async () => {
    const [gone = ''] = await people(1);
    await f.db.sql(`create table persons (id uuid primary key, email text);
      create table letters (id int primary key, receiver text);
      insert into persons values ('${gone}', 'gone@example.com'); insert into letters values (1, 'gone@example.com'), (2, 'other@example.com');
      grant select, update, delete on persons, letters to lapse_app;
      select retention.protect('public.persons'), retention.protect('public.letters')`);
    const dataMap = defineDataMap({
      'public.persons': {
        kept: 'while it lasts',
        subject: 'user',
        identifiers: ['email'],
        confidential: { delete: ['email'] },
      },
      'public.letters': {
        kept: 'while it lasts',
        mentions: [{ column: 'receiver', is: 'email' }],
        confidential: { delete: ['receiver'] },
      },
    });
    const old = await dumped();
    expect(await erase({ ...f.services, dataMap }, gone)).toMatchObject({
      outcome: 'succeeded',
      ledger: 'kept',
    });
    const { db, services } = await restored(old);
    await db.sql('delete from persons');
    expect(await job({ ...services, dataMap })).toMatchObject({
      outcome: 'succeeded',
      replay: { cameBack: 1 },
    });
    expect(await db.sql('select receiver from letters')).toEqual([{ receiver: 'other@example.com' }]);
  });

  it('who was erased is erased again by the next call of the cron, files of theirs too, and nobody else', async () => {
    const [gone = '', other = ''] = await people(2);
    await f.rows([{ age: 1, file: suffixed(1), person: gone }]);
    await f.upload(suffixed(1));
    f.pass(5);
    const old = await dumped();
    await erase(f.services, gone);
    expect(await left(f.db, gone)).toBe(0);
    const { db, services } = await restored(old);
    expect(await left(db, gone)).toBe(3);
    expect(await job(services)).toMatchObject({
      outcome: 'succeeded',
      replay: { checked: 1, cameBack: 1, unproven: 0, unreadable: 0 },
      erasures: [{ outcome: 'succeeded', deleted: 3, ledger: 'kept' }],
    });
    expect([await left(db, gone), await left(db, other)]).toEqual([0, 2]);
    expect((await chain(db, 'erasure%')).map((x) => [x.actor, x.action])).toEqual([
      ['erasures', 'erasure.requested'],
      ['cron', 'erasure.begun'],
      ['cron', 'erasure.done'],
      ['erasures', 'erasures.replayed'],
    ]);
    expect((await chain(db, 'erasures.replayed'))[0]?.detail).toEqual({
      checked: 1,
      adopted: 1,
      unproven: 0,
      unreadable: 0,
      deleted: 3,
    });
    expect((await verify(services.database)).problems).toEqual([]);
    expect(await job(services)).toMatchObject({ replay: null, erasures: [] });
    expect(ledger()).toHaveLength(1);
  });

  it('people are told, once, and again when all of it is done', async () => {
    const [gone = ''] = await people(1);
    const old = await dumped();
    await erase(f.services, gone);
    const { db, services } = await restored(old);
    const dry = { ...services, settings: { ...services.settings, dryRun: true } };
    for (let i = 0; i < 2; i += 1) {
      expect(await job(dry, true)).toMatchObject({ outcome: 'skipped', replay: { cameBack: 1 } });
    }
    expect(await left(db, gone)).toBe(2);
    expect(await db.sql('select cause, severity, times, recovered_at from retention.incident')).toEqual([
      { cause: 'database.restored:erasures', severity: 'critical', times: 2, recovered_at: null },
    ]);
    await job(services);
    expect(await db.sql('select recovered_at is null as open from retention.incident')).toEqual([
      { open: false },
    ]);
  });

  it('what is held stays, the replay lasts as long, and ends with what was erased', async () => {
    const [gone = ''] = await people(1);
    const old = await dumped();
    await erase(f.services, gone);
    const { db, services } = await restored(old);
    await db.sql("select retention.place_hold('ann', 'matter 7', 'user', $1, null)", [gone]);
    expect(await job(services)).toMatchObject({ outcome: 'interrupted', reason: 'kept' });
    expect(await db.sql('select ended_at from retention.replay')).toEqual([{ ended_at: null }]);
    await db.sql(
      "update retention.hold set released_by = 'ben', released_at = now(), release_reason = 'over'",
    );
    expect(await job(services)).toMatchObject({ outcome: 'succeeded' });
    expect(await db.sql('select ended_at is not null as over from retention.replay')).toEqual([
      { over: true },
    ]);
    expect(await left(db, gone)).toBe(0);
  });

  it('nothing newer hides it: while entries came from a lost time no erasure is called done before they are taken up', async () => {
    const [gone = '', next = ''] = await people(2);
    const old = await dumped();
    await erase(f.services, gone);
    const { db, services } = await restored(old);
    // The chain of the restored database grows past the head of the entry.
    for (let i = 0; i < 20; i += 1)
      await db.sql("select retention.record('ann', 'test.noted', 'x', 'y', '{}')");
    expect(await erase(services, next)).toMatchObject({
      outcome: 'interrupted',
      reason: 'ledger',
      ledger: 'restored',
    });
    expect(await job(services)).toMatchObject({ replay: { cameBack: 1 } });
    expect([await left(db, gone), await left(db, next)]).toEqual([0, 0]);
    expect(await db.sql('select distinct state from retention.erasure')).toEqual([{ state: 'done' }]);
    expect((await job(services)).replay).toBeNull();
  });

  it('a crash at any call of the store or the database loses nothing and erases nobody twice over', async () => {
    const [a = '', b = '', stays = ''] = await people(3);
    const old = await dumped();
    await erase(f.services, a);
    await erase(f.services, b);
    const { db, services } = await restored(old);
    // Neither the lease of the dead nor a breaker that has seen them fail keeps the next call from working.
    const { redisUrl, redisToken } = services.settings;
    const forgetful = (s: Services) => ({ ...s, redis: connectRedis(redisUrl, redisToken, randomUUID()) });
    for (let crashAt = 1; ; crashAt += 1) {
      expect(crashAt).toBeLessThan(200);
      let calls = 0;
      const dying = <T extends object>(real: T): T =>
        new Proxy(real, {
          get: (target, key) => {
            const value = Reflect.get(target, key);
            if (typeof value !== 'function') return value;
            return (...args: unknown[]) => {
              calls += 1;
              return calls < crashAt ? value.apply(target, args) : Promise.reject(new Error('died'));
            };
          },
        });
      await job(
        forgetful({ ...services, database: dying(services.database), blob: dying(services.blob!) }),
      ).catch(() => undefined);
      if (calls < crashAt) break;
    }
    await job(forgetful(services));
    expect([await left(db, a), await left(db, b), await left(db, stays)]).toEqual([0, 0, 2]);
    expect(await db.sql('select state, count(*)::int as n from retention.erasure group by 1')).toEqual([
      { state: 'done', n: 2 },
    ]);
    expect((await verify(services.database)).problems).toEqual([]);
    expect((await job(services)).replay).toBeNull();
  }, 120_000);

  it('of the same dump twice, and of a later one, erases again each time', async () => {
    const [a = '', b = ''] = await people(2);
    const first = await dumped();
    await erase(f.services, a);
    const second = await dumped();
    await erase(f.services, b);
    for (const [from, back] of [
      [first, 2],
      [second, 1],
      [first, 2],
    ] as const) {
      const { db, services } = await restored(from);
      expect(await job(services)).toMatchObject({ replay: { cameBack: back } });
      expect([await left(db, a), await left(db, b)]).toEqual([0, 0]);
      expect((await job(services)).replay).toBeNull();
    }
  });

  it('a request that waited for a second operator then, and was confirmed in the lost time, is carried out', async () => {
    const org = randomUUID();
    await f.rows([{ age: 1, file: null, org }]);
    const asked = await eraseSubject(f.services, {
      ...by(),
      subject: { scope: 'organization', id: org },
      reason: 'request 13',
      dryRun: false,
    });
    const old = await dumped();
    await confirmRequest(f.services, { ...by('ben'), id: asked.id!, reason: 'checked' });
    const { db, services } = await restored(old);
    expect(await job(services)).toMatchObject({ outcome: 'succeeded', replay: { cameBack: 1 } });
    expect(await db.sql('select 1 from pictures where org = $1', [org])).toEqual([]);
    expect((await verify(services.database)).problems).toEqual([]);
  });

  it('a subject that somebody asked for again by hand is erased by that request', async () => {
    const [gone = ''] = await people(1);
    const old = await dumped();
    await erase(f.services, gone);
    const { db, services } = await restored(old);
    expect(await erase(services, gone, 'again')).toMatchObject({
      outcome: 'interrupted',
      ledger: 'restored',
    });
    await job(services);
    await job(services);
    expect(await left(db, gone)).toBe(0);
    expect(await db.sql('select distinct state from retention.erasure')).toEqual([{ state: 'done' }]);
    expect((await job(services)).replay).toBeNull();
  });

  it('what no key opens, or another database proves, is taken up by nobody, is told, and hides nothing', async () => {
    const [gone = '', next = ''] = await people(2);
    const old = await dumped();
    await erase(f.services, gone);
    const { db, services } = await restored(old);
    await db.sql('update retention.ledger_secret set secret = sha256($1::bytea)', ['another']);
    const otherKey = { ...services, settings: { ...services.settings, rightsKeys: ['00'.repeat(32)] } };
    expect(await job(otherKey)).toMatchObject({ replay: { cameBack: 0, unreadable: 1 } });
    expect(await replayAll(services, false)).toMatchObject({ cameBack: 0, unproven: 1 });
    expect(await left(db, gone)).toBe(2);
    expect(await db.sql('select recovered_at, message from retention.incident')).toMatchObject([
      { recovered_at: null, message: expect.stringContaining('1 cannot be taken up') },
    ]);
    expect((await job(services)).replay).toBeNull();
    expect(await erase(services, next)).toMatchObject({ outcome: 'succeeded', ledger: 'kept' });
    // A person sees to it: then the entry is of no use any more.
    expect(await erase(services, gone, 'again')).toMatchObject({ outcome: 'succeeded', deleted: 2 });
    expect(await replayAll(services, false)).toMatchObject({ checked: 3, unproven: 0 });
    expect(ledger()).toHaveLength(2);
  });

  it('a key of before still opens what it sealed', async () => {
    const [gone = ''] = await people(1);
    const old = await dumped();
    await erase(f.services, gone);
    const { db, services } = await restored(old, {
      LAPSE_RIGHTS_KEY: '0b'.repeat(32),
      LAPSE_RIGHTS_KEY_PREVIOUS: KEY,
    });
    expect(await job(services)).toMatchObject({ outcome: 'succeeded', replay: { cameBack: 1 } });
    expect(await left(db, gone)).toBe(0);
  });
});

it('a request that was taken back in the last moment is in no ledger', async () => {
  const [person = ''] = await people(1);
  const { database } = f.services;
  const withdrawn = {
    ...f.services,
    database: {
      transaction: async (...a: Parameters<typeof database.transaction>) => {
        if (a[0].some((s) => s.text.includes('finish_erasure'))) {
          const [row] = await f.db.sql<{ id: string }>('select id::text from retention.erasure');
          await withdrawRequest(f.services, { actor: 'ben', id: row!.id, reason: 'mistake' });
        }
        return database.transaction(...a);
      },
    },
  };
  expect(await erase(withdrawn, person)).toMatchObject({ outcome: 'interrupted' });
  expect(ledger()).toEqual([]);
});

it('nobody erases by an entry of their own making: the app cannot prove a request that people did not let begin', async () => {
  const [person = ''] = await people(1);
  const asApp = (text: string, params: unknown[] = []) =>
    f.services.database.transaction([{ text, params: params as string[] }], { timeoutMs: 5_000 });
  const id = randomUUID();
  await f.db.sql(
    "insert into retention.erasure (id, scope, subject, reason, requested_by) values ($1, 'user', $2, 'r', 'ann')",
    [id, person],
  );
  expect(await asApp('select retention.prove_erasure($1::uuid) as proof', [id])).toEqual([[{ proof: null }]]);
  for (const text of [
    'select secret from retention.ledger_secret',
    "select retention.ledger_hash(gen_random_uuid(), 'user', 'x', 'ann', '{}')",
  ]) {
    await expect(asApp(text)).rejects.toMatchObject({ sqlState: '42501' });
  }
  const forged = {
    id,
    scope: 'user',
    subject: person,
    reason: 'r',
    requested_by: 'ann',
    identifiers: {},
    proof: 'a'.repeat(64),
    ledger: 'x',
  };
  await asApp("select retention.adopt_erasures(retention.begin_replay('asked'), $1::jsonb)", [
    JSON.stringify([forged]),
  ]);
  expect(await f.db.sql('select state, replay from retention.erasure')).toEqual([
    { state: 'requested', replay: null },
  ]);
});
