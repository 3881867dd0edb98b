import { afterEach, beforeEach, expect, it } from 'vitest';
import { restoreRoute } from '@/lib/http/restore-route';
import { days, type Policy } from '@/lib/policies/contract';
import { purgeOf } from '@/lib/policies/purge';
import { type Guarded, guarded } from '@/test/support/guarded';
import { keyed } from '@/test/support/keyed';
import { act, OPERATORS, TOKENS } from '@/test/support/operators';

let e: Guarded;
let policy: Policy;
beforeEach(async () => {
  e = await guarded({
    LAPSE_OPERATORS: OPERATORS,
    LAPSE_MASS_DELETION_GUARD: 'off',
    LAPSE_COOLING_OFF_DAYS: '0',
  });
  policy = await keyed(
    e.db,
    'drafts',
    [
      ['id', 'uuid'],
      ['moment', 'timestamptz'],
    ],
    {
      columns: 'deleted_at timestamptz',
      strategy: { kind: 'soft-delete', column: 'deleted_at', purgeAfter: days(14) },
    },
  );
  await e.db.sql('create index on drafts (deleted_at, id, moment)');
  e = { ...e, services: { ...e.services, policies: [policy, purgeOf(policy)!] } };
});
afterEach(() => e.stop());

const ID = '7b0c1d5e-aaaa-4bbb-8ccc-dddddddddddd';
const KEY = `["${ID}", "2026-01-01 00:00:00+00"]`;
const restore = (more: object = {}) =>
  act(e.services, 'alice', {
    action: 'row.restore',
    policy: 'keyed-drafts',
    key: [ID.toUpperCase(), '2026-01-01T01:00:00+01:00'],
    reason: 'asked by its author',
    ...more,
  });
const marks = async () =>
  (await e.db.sql('select deleted_at is not null as marked from drafts')).map((r) => r.marked);

it('an operator takes a soft deletion back, however the key is spelled; the chain says so, and no run marks it again', async () => {
  await e.db.sql('insert into drafts (id, moment) values ($1, $2)', [ID, '2026-01-01Z']);
  expect(await e.run(policy)).toMatchObject({ deleted: 1 });
  expect(await marks()).toEqual([true]);
  const answer = await restore();
  expect([answer.status, answer.body.subject]).toEqual([200, KEY]);
  expect(await marks()).toEqual([false]);
  expect(
    await e.db.sql(
      "select n::int, actor, subject, reason from retention.audit_entry where action = 'row.restored'",
    ),
  ).toEqual([
    { n: answer.body.entry, actor: 'alice', subject: `public.drafts ${KEY}`, reason: 'asked by its author' },
  ]);
  expect(await e.run(policy)).toMatchObject({ deleted: 0, kept: { extended: 1 } });
});

it('an extension that lasts longer than the restoration stays as long as it was', async () => {
  await e.db.sql('insert into drafts (id, moment) values ($1, $2)', [ID, '2026-01-01Z']);
  expect(await e.run(policy)).toMatchObject({ deleted: 1 });
  await e.db.sql(
    "select retention.set_extension('bob', 'a contract', 'public.drafts', $1, '2099-01-01Z', 0)",
    [KEY],
  );
  expect((await restore()).status).toBe(200);
  expect(await e.db.sql('select keep_until from retention.extension')).toEqual([
    { keep_until: new Date('2099-01-01T00:00:00Z') },
  ]);
});

it.each([
  ['what was never marked', {}, 409, 'not_deleted'],
  ['what is no key', { key: 'x' }, 422, 'no_such_value'],
  ['a policy that deletes for good', { policy: 'keyed-drafts-purge' }, 422, 'not_restorable'],
  ['a policy that is not there', { policy: 'drafts' }, 404, 'unknown_policy'],
])('%s is refused, and nothing is changed', async (_, more, status, code) => {
  await e.db.sql('insert into drafts (id, moment) values ($1, $2)', [ID, '2026-01-01Z']);
  const answer = await restore(more);
  expect([answer.status, answer.body.error?.code]).toEqual([status, code]);
  expect(
    await e.db.sql('select 1 from retention.extension union all select 1 from retention.restoration'),
  ).toEqual([]);
});

it('after the grace period it is too late', async () => {
  await e.db.sql(
    "insert into drafts (id, moment, deleted_at) values ($1, $2, retention.clock() - interval '15 days')",
    [ID, '2026-01-01Z'],
  );
  expect((await restore()).body.error?.code).toBe('grace_over');
  expect(await marks()).toEqual([true]);
});

it('without the right to take a mark back the answer names the table and what to grant, and nothing is changed', async () => {
  await e.db.sql('insert into drafts (id, moment) values ($1, $2)', [ID, '2026-01-01Z']);
  await e.run(policy);
  await e.db.sql('revoke all on drafts from lapse_operator');
  expect(await restore()).toMatchObject({
    status: 409,
    body: {
      error: { code: 'no_right', message: expect.stringMatching(/table drafts.*grant it to lapse_operator/) },
    },
  });
  expect(await marks()).toEqual([true]);
  await e.db.sql('grant select, update (deleted_at) on drafts to lapse_operator');
  expect((await restore()).status).toBe(200);
});

it('the door of restores takes a soft deletion back, too, at once', async () => {
  await e.db.sql('insert into drafts (id, moment) values ($1, $2)', [ID, '2026-01-01Z']);
  await e.run(policy);
  const ask = async (more: object) => {
    const response = await restoreRoute(() => e.services).POST(
      new Request('https://lapse.test/api/restore', {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKENS.alice}` },
        body: JSON.stringify({
          policy: 'keyed-drafts',
          key: [ID, '2026-01-01 00:00:00+00'],
          reason: 'asked by its author',
          ...more,
        }),
      }),
    );
    return { status: response.status, body: await response.json() };
  };
  expect(await ask({ dryRun: true })).toMatchObject({
    status: 422,
    body: { error: { code: 'no_dry_run' } },
  });
  expect(await marks()).toEqual([true]);
  expect(await ask({})).toMatchObject({ status: 200, body: { subject: KEY } });
  expect(await marks()).toEqual([false]);
});
