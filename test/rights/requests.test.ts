import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { erasureRoute } from '@/lib/http/erasure-route';
import { jobRoute } from '@/lib/http/job-route';
import { confirmRequest, resumeErasures } from '@/lib/rights/erase';
import { govern, left, thingsPolicy } from '../support/engine';
import { type Files, files, suffixed } from '../support/files';
import { keyed } from '../support/keyed';
import { act as control, OPERATORS, TOKENS } from '../support/operators';

const SECRET = 'a-secret-of-the-tests';
let f: Files;
let org: string;
let user: string;

beforeEach(async () => {
  vi.stubEnv('CRON_SECRET', SECRET);
  f = await files({ env: { LAPSE_OPERATORS: OPERATORS } });
  [org, user] = [randomUUID(), randomUUID()];
  await f.rows([
    { age: 1, file: suffixed(1), org, person: user },
    { age: 400, file: null, org, person: user },
    { age: 1, file: suffixed(2), org, person: randomUUID() },
    { age: 1, file: suffixed(3), org: randomUUID() },
  ]);
  await f.upload(suffixed(1), suffixed(2), suffixed(3));
  f.pass(5);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await f.stop();
});

const call = async (method: 'GET' | 'POST', headers: Record<string, string>, body?: unknown, query = '') => {
  const response = await erasureRoute(() => f.services)[method](
    new Request(`https://lapse.test/api/erasure${query}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    }),
  );
  return {
    status: response.status,
    body: (await response.json()) as Record<string, never> & { error?: { code: string; field?: string } },
  };
};
const as = (who: keyof typeof TOKENS) => ({ authorization: `Bearer ${TOKENS[who]}` });
const ask = (who: keyof typeof TOKENS, body: unknown) => call('POST', as(who), body);
const entries = () =>
  f.db.sql<{ actor: string; action: string; reason: string; detail: Record<string, unknown> }>(
    "select actor, action, reason, subject, detail from retention.audit_entry where action like 'erasure.%' order by n",
  );
const state = async () => (await f.db.sql('select state from retention.erasure'))[0]?.state;
const ofPerson = { reason: 'request 12' };
const resume = async () =>
  (await (
    await jobRoute(
      'erasures',
      (s, o) => resumeErasures(s, { ...o, actor: o.trigger }),
      () => f.services,
    ).GET(
      new Request('https://lapse.test/api/cron/erasures', { headers: { authorization: `Bearer ${SECRET}` } }),
    )
  ).json()) as Record<string, unknown>;

describe('who may erase', () => {
  it.each([
    ['nobody', {}],
    ['the cron secret', { authorization: `Bearer ${SECRET}` }],
    ['the cron secret as a password', { authorization: `Basic ${btoa(`me:${SECRET}`)}` }],
    ['a stranger', { authorization: 'Bearer some-token-nobody-has' }],
  ])('not %s: 401, and nothing is remembered, read or deleted', async (_, headers) => {
    expect((await call('POST', headers, { user, ...ofPerson })).status).toBe(401);
    expect((await call('GET', headers)).status).toBe(401);
    expect(await left(f.db, 'retention.erasure')).toBe(0);
    expect(await left(f.db, 'pictures')).toBe(4);
  });

  it('an operator erases what one person has, by name, with the subject only as a hash in the audit chain', async () => {
    expect(await ask('alice', { user, ...ofPerson })).toMatchObject({
      status: 200,
      body: { outcome: 'succeeded', deleted: 2 },
    });
    expect(await left(f.db, 'pictures')).toBe(2);
    expect((await entries()).map((e) => [e.actor, e.action, e.reason])).toEqual([
      ['alice', 'erasure.requested', 'request 12'],
      ['alice', 'erasure.begun', 'request 12'],
      ['alice', 'erasure.done', 'request 12'],
    ]);
    const all = JSON.stringify(await f.db.sql('select * from retention.audit_entry'));
    expect(all).toMatch(/"subject_sha256":"[0-9a-f]{64}"/);
    expect(all).not.toContain(user);
    expect((await f.db.sql('select distinct actor from retention.receipt'))[0]).toEqual({ actor: 'alice' });
  });

  it('an organization waits for a second operator, and nothing is deleted before', async () => {
    const asked = await ask('alice', { organization: org, ...ofPerson });
    expect(asked).toMatchObject({
      status: 202,
      body: { outcome: 'waiting', reason: 'unconfirmed', deleted: 0 },
    });
    const { id } = asked.body;
    expect(await resume()).toMatchObject({ outcome: 'succeeded', erasures: [] });
    expect(await ask('alice', { organization: org, reason: 'asked again' })).toMatchObject({
      status: 202,
      body: { id },
    });
    expect(await ask('alice', { action: 'confirm', id, reason: 'I am sure' })).toMatchObject({
      status: 409,
      body: { error: { code: 'own_request' } },
    });
    expect(await left(f.db, 'pictures')).toBe(4);
    expect(await ask('bob', { action: 'confirm', id, reason: 'checked the contract' })).toMatchObject({
      status: 200,
      body: { outcome: 'succeeded', deleted: 3 },
    });
    expect(await left(f.db, 'pictures')).toBe(1);
    expect((await entries()).map((e) => [e.actor, e.action, e.reason])).toEqual([
      ['alice', 'erasure.requested', 'request 12'],
      ['bob', 'erasure.confirmed', 'checked the contract'],
      ['bob', 'erasure.begun', 'request 12'],
      ['bob', 'erasure.done', 'request 12'],
    ]);
    expect((await entries())[0]?.detail).toMatchObject({
      rows: 3,
      needs_second: true,
      scope: 'organization',
    });
  });

  it('more rows than one person has wait for a second operator too, with those that are held now', async () => {
    await f.db.sql(
      'insert into pictures (at, org, person) select now(), gen_random_uuid(), $1 from generate_series(1, 498)',
      [user],
    );
    expect(await ask('alice', { user, ...ofPerson, dryRun: true })).toMatchObject({ body: { deleted: 500 } });
    await f.db.sql('insert into pictures (at, org, person) values (now(), gen_random_uuid(), $1)', [user]);
    await f.db.sql(
      "insert into retention.hold (scope, subject, reason, placed_by) values ('user', $1, 'matter 7', 'bob')",
      [user],
    );
    expect(await ask('alice', { user, ...ofPerson })).toMatchObject({ status: 202 });
    expect(await f.db.sql('select rows_found::int, state from retention.erasure')).toEqual([
      { rows_found: 501, state: 'requested' },
    ]);
  });

  it('the dependants of few rows count as well', async () => {
    await govern(f.db);
    await f.db.sql(`create table notes (id uuid primary key default gen_random_uuid(),
      thing uuid references things on delete cascade)`);
    await f.db.sql('create index on notes (thing)');
    await f.db.sql('grant select, update, delete on notes to lapse_app');
    await f.db.sql(
      `with t as (insert into things (at, person) values (now(), $1) returning id)
       insert into notes (thing) select t.id from t, generate_series(1, 600)`,
      [user],
    );
    const key = [{ column: 'id', type: 'uuid' }];
    const policy = thingsPolicy({
      dependants: [{ table: { name: 'notes' }, key, references: ['thing'], fate: 'delete' }],
    });
    f = { ...f, services: { ...f.services, policies: [policy] } };
    expect(await ask('alice', { user, ...ofPerson })).toMatchObject({ status: 202 });
    expect(await f.db.sql('select rows_found::int from retention.erasure')).toEqual([{ rows_found: 601 }]);
  });

  it('a request whose rows could not be counted in time waits for a second operator', async () => {
    let now = f.now().getTime();
    // Each look at the clock is a minute later: the counting never ends in time.
    const later = () => {
      now += 60_000;
      return new Date(now);
    };
    const services = { ...f.services, clock: later };
    const slow = erasureRoute(() => services);
    const response = await slow.POST(
      new Request('https://lapse.test/api/erasure', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...as('alice') },
        body: JSON.stringify({ user, ...ofPerson }),
      }),
    );
    expect(response.status).toBe(202);
    expect(await f.db.sql('select rows_found, state from retention.erasure')).toEqual([
      { rows_found: null, state: 'requested' },
    ]);
  });

  it('one subject is one request, however its id is written', async () => {
    for (const id of [org, org.toUpperCase(), org.replaceAll('-', ''), `{${org}}`]) {
      expect((await ask('alice', { organization: id, ...ofPerson })).status).toBe(202);
    }
    expect(await f.db.sql('select subject from retention.erasure')).toEqual([{ subject: org }]);
  });

  it('a table whose column cannot hold the id has nothing of it; the others are erased', async () => {
    const notes = await keyed(f.db, 'notes', [['id', 'int8']], {
      columns: 'person int8',
      scope: { user: 'person' },
    });
    await f.db.sql(`create index on notes (person); select retention.protect('public.notes');
      insert into notes (id, person) values (1, 7), (2, 8)`);
    f = { ...f, services: { ...f.services, policies: [f.policy, notes] } };
    expect(await ask('alice', { user: '007', ...ofPerson })).toMatchObject({
      status: 200,
      body: { outcome: 'succeeded', deleted: 1, outOfReach: ['pictures'] },
    });
    expect(await f.db.sql('select id::int from notes')).toEqual([{ id: 2 }]);
    expect(await left(f.db, 'pictures')).toBe(4);
    const refused = await ask('alice', { user: 'nobody', ...ofPerson });
    expect([refused.status, refused.body.error?.code]).toEqual([422, 'not_an_id']);
  });

  it("the role of the app can neither write a request nor confirm one, and the operators' confirms none of its own", async () => {
    const { body } = await ask('alice', { organization: org, ...ofPerson });
    const app = (text: string, params: readonly string[] = []) =>
      f.services.database.transaction([{ text, params }], { timeoutMs: 5_000 });
    await expect(
      app(
        "insert into retention.erasure (scope, subject, reason, requested_by) values ('user', 'x', 'y', 'eve')",
      ),
    ).rejects.toThrow(/42501/);
    await expect(app("update retention.erasure set state = 'confirmed'")).rejects.toThrow(/42501/);
    await expect(app('update retention.erasure_step set deleted = 0')).rejects.toThrow(/42501/);
    const own = {
      text: 'select retention.confirm_erasure($1::uuid, $2, $3) as it',
      params: [String(body.id), 'mine', 'alice'],
    };
    await expect(app(own.text, own.params)).rejects.toThrow(/42501/);
    const [rows] = await f.services.deciding.transaction([own], { timeoutMs: 5_000 });
    expect(rows?.[0]?.it).toEqual({ refused: 'own' });
    expect(await state()).toBe('requested');
  });

  it('the table itself refuses one person as both', async () => {
    const { body } = await ask('alice', { organization: org, ...ofPerson });
    await expect(
      f.db.sql("update retention.erasure set confirmed_by = 'alice', confirmed_at = now() where id = $1", [
        body.id,
      ]),
    ).rejects.toThrow(/erasure_second_person_check/);
  });

  it('more than 20 requests a minute of one operator are refused, and others go on', async () => {
    const answers = [];
    for (let i = 0; i < 21; i += 1) answers.push((await ask('alice', {})).status);
    expect(answers.slice(0, 20).every((s) => s === 400)).toBe(true);
    expect(answers[20]).toBe(429);
    expect((await ask('bob', {})).status).toBe(400);
  });
});

describe('a request that is taken back', () => {
  it('is never carried out, and says who withdrew it', async () => {
    const { body } = await ask('alice', { organization: org, ...ofPerson });
    const answer = await ask('bob', { action: 'withdraw', id: body.id, reason: 'the wrong customer' });
    expect(answer).toMatchObject({ status: 200, body: { state: 'withdrawn' } });
    expect(await ask('bob', { action: 'confirm', id: body.id, reason: 'yes' })).toMatchObject({
      status: 409,
      body: { error: { code: 'wrong_state' } },
    });
    await resume();
    expect(await left(f.db, 'pictures')).toBe(4);
    expect((await entries()).at(-1)).toMatchObject({
      actor: 'bob',
      action: 'erasure.withdrawn',
      reason: 'the wrong customer',
    });
  });

  it('stops before its next table when it is withdrawn meanwhile', async () => {
    const policy = await govern(f.db);
    await f.db.sql('insert into things (at, org) values (now(), $1)', [org]);
    await f.db.sql('create index on things (org)');
    f = { ...f, services: { ...f.services, policies: [...f.services.policies, policy] } };
    const { body } = await ask('alice', { organization: org, ...ofPerson });
    const { database } = f.services;
    const services = {
      ...f.services,
      database: {
        transaction: async (...a: Parameters<typeof database.transaction>) => {
          const rows = await database.transaction(...a);
          if (a[0].some((s) => s.text.includes('record_erasure_steps'))) {
            await f.db.sql("select retention.withdraw_erasure($1, 'a mistake', 'alice')", [body.id]);
          }
          return rows;
        },
      },
    };
    const result = await confirmRequest(services, {
      id: String(body.id),
      reason: 'checked',
      actor: 'bob',
      correlationId: 'c',
      deadline: new Date(f.now().getTime() + 240_000),
    });
    expect(result).toMatchObject({ outcome: 'interrupted', reason: 'not_open', deleted: 3 });
    expect(await left(f.db, 'things')).toBe(1);
    expect(await state()).toBe('withdrawn');
  });

  it('can be asked for again', async () => {
    const { body } = await ask('alice', { organization: org, ...ofPerson });
    await ask('alice', { action: 'withdraw', id: body.id, reason: 'not yet' });
    expect((await ask('alice', { organization: org, ...ofPerson })).status).toBe(202);
  });
});

describe('the scheduled call', () => {
  it('resumes what has been confirmed, as cron or manual, and records who finished it', async () => {
    await f.db.sql(
      "insert into retention.hold (scope, subject, reason, placed_by) values ('organization', $1, 'matter 7', 'bob')",
      [org],
    );
    const { body } = await ask('alice', { organization: org, ...ofPerson });
    await ask('bob', { action: 'confirm', id: body.id, reason: 'checked' });
    expect(await state()).toBe('open');
    await f.db.sql(
      "update retention.hold set released_by = 'cy', released_at = now(), release_reason = 'over'",
    );
    expect(await resume()).toMatchObject({ outcome: 'succeeded' });
    expect(await state()).toBe('done');
    expect((await entries()).at(-1)).toMatchObject({ actor: 'manual', action: 'erasure.done' });
    expect(await left(f.db, 'pictures')).toBe(1);
  });

  it('deletes nothing while everything is stopped, says so, and resumes afterwards', async () => {
    const { body } = await ask('alice', { organization: org, ...ofPerson });
    await control(f.services, 'alice', { action: 'all.stop', reason: 'an incident' });
    expect(await ask('bob', { action: 'confirm', id: body.id, reason: 'checked' })).toMatchObject({
      body: { outcome: 'interrupted', reason: 'stopped', deleted: 0 },
    });
    const stopped = await resume();
    expect(stopped).toMatchObject({ outcome: 'interrupted', reason: 'stopped' });
    expect(stopped.message).toContain('stopped');
    expect(await left(f.db, 'pictures')).toBe(4);
    await f.db.sql(
      'update retention.kill_switch set stopped = false, stopped_by = null, reason = null, stopped_at = null',
    );
    expect(await resume()).toMatchObject({ outcome: 'succeeded' });
    expect(await left(f.db, 'pictures')).toBe(1);
  });

  it('a stop between two batches ends it at the next one', async () => {
    await f.db.sql('insert into pictures (at, org) select now(), $1 from generate_series(1, 20)', [org]);
    const { body } = await ask('alice', { organization: org, ...ofPerson });
    const { database } = f.services;
    let batches = 0;
    const services = {
      ...f.services,
      settings: { ...f.services.settings, batchSize: 5 },
      database: {
        transaction: async (...a: Parameters<typeof database.transaction>) => {
          const isBatch = a[0].some((s) => s.text.includes('enter_batch'));
          const rows = await database.transaction(...a);
          if (isBatch && ++batches === 1) {
            await f.db.sql(
              "update retention.kill_switch set stopped = true, stopped_by = 'cy', reason = 'no', stopped_at = now()",
            );
          }
          return rows;
        },
      },
    };
    const confirmed = await erasureRoute(() => services).POST(
      new Request('https://lapse.test/api/erasure', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...as('bob') },
        body: JSON.stringify({ action: 'confirm', id: body.id, reason: 'checked' }),
      }),
    );
    expect(await confirmed.json()).toMatchObject({ outcome: 'interrupted', reason: 'paused', deleted: 5 });
    expect(await left(f.db, 'pictures')).toBe(19);
  });

  it('tries the request that has waited longest first, so that many that are held keep no other back', async () => {
    await f.db.sql(
      `insert into retention.erasure (scope, subject, reason, requested_by, requested_at, state, tried_at)
       select 'organization', gen_random_uuid()::text, 'old', 'ann', now() - interval '9 days', 'open', now()
       from generate_series(1, 150)`,
    );
    const { body } = await ask('alice', { organization: org, ...ofPerson });
    await f.db.sql("update retention.erasure set state = 'confirmed' where id = $1", [body.id]);
    const order = {
      actor: 'cron',
      correlationId: 'c',
      deadline: new Date(f.now().getTime() + 16_000),
      dryRun: false,
    };
    let calls = 0;
    // Time for two requests, not for a hundred and fifty.
    const services = { ...f.services, clock: () => new Date(f.now().getTime() + 200 * ++calls) };
    const { erasures } = await resumeErasures(services, order);
    expect(erasures[0]).toMatchObject({ id: body.id, outcome: 'succeeded', deleted: 3 });
  });
});

describe('what is asked for and waits', () => {
  it('is listed for operators, each with its state and what it came to', async () => {
    const { body } = await ask('alice', { organization: org, ...ofPerson });
    await ask('alice', { user, ...ofPerson });
    const open = await call('GET', as('bob'));
    expect(open).toMatchObject({
      status: 200,
      body: {
        list: 'open',
        next: null,
        entries: [{ id: body.id, state: 'requested', requested_by: 'alice', rows_found: 3 }],
      },
    });
    expect(await call('GET', as('bob'), undefined, '?state=done')).toMatchObject({
      body: { entries: [{ state: 'done', subject: user, policies: [{ policy: 'pictures', deleted: 2 }] }] },
    });
    expect(await call('GET', as('bob'), undefined, '?state=all')).toMatchObject({
      status: 400,
      body: { error: { field: 'state' } },
    });
  });
});

it('outside production nothing is confirmed or withdrawn', async () => {
  const { body } = await ask('alice', { organization: org, ...ofPerson });
  f = { ...f, services: { ...f.services, settings: { ...f.services.settings, dryRun: true } } };
  for (const action of ['confirm', 'withdraw']) {
    expect(await ask('bob', { action, id: body.id, reason: 'checked' })).toMatchObject({
      status: 409,
      body: { error: { code: 'dry_run' } },
    });
  }
  expect(await state()).toBe('requested');
});

it('answers bad input with a 4xx that names the field, and changes nothing', async () => {
  const bad: [unknown, number, string | undefined][] = [
    ['{', 400, undefined],
    ['[]', 400, undefined],
    [{ reason: 'request 12' }, 400, 'organization'],
    [{ organization: org, user: org, reason: 'request 12' }, 400, 'organization'],
    [{ organization: org }, 400, 'reason'],
    [{ organization: org, reason: ' ' }, 400, 'reason'],
    [{ organization: org, reason: 'request\u000012' }, 400, 'reason'],
    [{ organization: '', reason: 'request 12' }, 400, 'organization'],
    [{ organization: "' or 1=1", reason: 'request 12' }, 422, 'organization'],
    [{ organization: `${org}\u200b`, reason: 'request 12' }, 400, 'organization'],
    [{ organization: org, reason: 'request 12', force: true }, 400, 'force'],
    [{ organization: org, reason: 'request 12', dryRun: 'yes' }, 400, 'dryRun'],
    [{ action: 'explode', organization: org, reason: 'request 12' }, 400, 'action'],
    [{ action: 'confirm', reason: 'request 12' }, 400, 'id'],
    [{ action: 'confirm', id: randomUUID(), reason: 'request 12' }, 404, 'id'],
    [{ action: 'withdraw', id: randomUUID(), reason: 'request 12' }, 404, 'id'],
  ];
  for (const [body, status, field] of bad) {
    const answer = await ask('alice', body);
    expect([answer.status, answer.body.error?.field]).toEqual([status, field]);
  }
  expect((await ask('bob', 'x'.repeat(10_000))).status).toBe(413);
  expect(await left(f.db, 'pictures')).toBe(4);
  expect(await left(f.db, 'retention.erasure')).toBe(0);
});
