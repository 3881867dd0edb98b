/** One set of credentials is one person at most: with operators bound to the database, a login alone is nobody. */
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bindOperators } from '@/lib/dev/operators';
import { erasureRoute } from '@/lib/http/erasure-route';
import { createLog } from '@/lib/platform/log';
import { operatorList } from '@/lib/platform/settings/operators';
import type { Policy } from '@/lib/policies/contract';
import { allProbes } from '@/lib/watch/health/probes';
import { type AppLogin, appLogin, login as loginAt, operatorLogin } from '../support/app-login';
import type { TestDatabase } from '../support/database';
import { govern } from '../support/engine';
import { aged, type Guarded, guarded } from '../support/guarded';
import { act, OPERATORS, TOKENS } from '../support/operators';
import { orderWorld } from '../support/orders';

let e: Guarded;
let app: AppLogin;
/** The login of the operators' door. */
let door: AppLogin;
let policy: Policy;
/** What the services log, all levels. */
let log: string[];
beforeEach(async () => {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS });
  policy = await govern(e.db);
  log = [];
  const destination = { write: (line: string) => void log.push(line) };
  e = {
    ...e,
    services: {
      ...e.services,
      policies: [policy],
      dataMap: [],
      log: createLog({ level: 'trace', destination }),
    },
  };
  app = await appLogin(e.db);
  door = await operatorLogin(e.db);
});
afterEach(async () => {
  await app.end();
  await door.end();
  await e.stop();
});

const bind = (db: TestDatabase = e.db, list = OPERATORS) =>
  bindOperators(db.ownerUrl, operatorList.parse(list));
const entries = async () =>
  (await e.db.sql('select count(*)::int as n from retention.audit_entry'))[0]?.n as number;
const ofDoor = async (token: string, statement: string, params: readonly unknown[]) => {
  await door.sql('begin');
  await door.sql("select set_config('lapse.operator_token', $1, true)", [token]);
  const answer = await door.refusal(statement, params);
  await door.sql(answer === 'LP016' ? 'rollback' : 'commit');
  return answer;
};
const reason = 'looked at';
const hash = (token: string) => createHash('sha256').update(token).digest('hex');

/** A hold, a stop, a pause, an erasure and a dry run that wait for a second person; made before anybody was bound. */
async function waiting() {
  const [hold] = await door.sql(
    "select subject from retention.place_hold('alice', 'case', 'user', 'u', null)",
  );
  const [erasure] = await door.sql(
    "select retention.request_erasure('organization', $1, 'asked', 'alice', 3) ->> 'id' as id",
    [randomUUID()],
  );
  await aged(e, 1, 100, 30);
  await e.analyze();
  const { preview } = await e.run(policy, { dryRun: true, actor: 'alice', trigger: 'manual' });
  await door.sql("select retention.stop_all('alice', 'look')");
  await door.sql("select retention.pause_policy('alice', 'look', 'things')");
  return { hold: hold?.subject, erasure: erasure?.id, digest: preview?.approvable?.digest };
}

/** Each takes something back, or lets something go, as `who`. */
const releases = (who: string, w: Awaited<ReturnType<typeof waiting>>): [string, unknown[]][] => [
  ['select retention.release_hold($1, $2, $3)', [who, reason, w.hold]],
  ['select retention.confirm_erasure($3::uuid, $2, $1)', [who, reason, w.erasure]],
  ['select retention.withdraw_erasure($3::uuid, $2, $1)', [who, reason, w.erasure]],
  ['select retention.resume_policy($1, $2, $3)', [who, reason, 'things']],
  ['select retention.resume_all($1, $2)', [who, reason]],
  ['select retention.give_approval($1, $2, $3, $4)', [who, reason, 'things', w.digest]],
  ['select retention.release_lease($1, $2, $3)', [who, reason, 'things']],
  ["select retention.set_override($1, $2, $3, 'o', 1)", [who, reason, 'things']],
  ["select retention.place_hold($1, $2, 'user', 'v', null)", [who, reason]],
  ["select retention.resolve_order('1', $1, $2, now(), '{}')", [who, reason]],
  ["select retention.extend_order('1', $1, $2, '{}')", [who, reason]],
  ["select * from retention.claim_refunds('[]', '{}', $1, $2, now(), true, '[]')", [who, reason]],
];

describe('with operators bound to the database', () => {
  it("the door's login alone releases, confirms, resumes and approves nothing, under any name, and the app's may not even ask", async () => {
    const w = await waiting();
    await bind();
    const before = await entries();
    for (const who of ['bob', 'Bob', 'mallory']) {
      for (const [statement, params] of releases(who, w)) {
        expect(await door.refusal(statement, params), `${who}: ${statement}`).toBe('LP016');
        expect(await app.refusal(statement, params), `${who}: ${statement}`).toBe('42501');
      }
    }
    // Of what alice did herself some would not apply anyway: nothing comes of it, nor of the rest.
    for (const own of releases('alice', w)) await door.refusal(...own);
    expect(await entries()).toBe(before);
    expect(
      await e.db.sql(`select (select count(*)::int from retention.hold where released_at is null) as holds,
        (select state from retention.erasure) as erasure, (select paused from retention.policy_state) as paused,
        (select stopped from retention.kill_switch) as stopped, (select count(*)::int from retention.approval) as approvals`),
    ).toEqual([{ holds: 1, erasure: 'requested', paused: true, stopped: true, approvals: 0 }]);
  });

  it("neither a wrong token nor another operator's acts under a name", async () => {
    const w = await waiting();
    await bind();
    for (const token of ['', 'a-token-of-nobody-at-all', TOKENS.alice, TOKENS.bob.toUpperCase()]) {
      for (const [statement, params] of releases('bob', w)) {
        expect(await ofDoor(token, statement, params), statement).toBe('LP016');
      }
    }
    const [release] = releases('bob', w);
    expect(await ofDoor(TOKENS.bob, ...release!)).toHaveLength(1);
    // For the transaction it was given in, and no longer.
    expect(await door.refusal(...releases('bob', w)[4]!)).toBe('LP016');
  });

  it('the token of a viewer or an auditor acts in no name, and where there is nobody else, no name without one does', async () => {
    const lookers = `alice:viewer:${hash(TOKENS.alice)},bob:auditor:${hash(TOKENS.bob)}`;
    const pause = "select retention.pause_policy('alice', 'x', 'things')";
    await bind(e.db, `${lookers},carol:approver:${hash('carol-token-0123456789')}`);
    expect(await ofDoor(TOKENS.alice, pause, [])).toBe('LP016');
    expect(await ofDoor(TOKENS.bob, pause.replace('alice', 'bob'), [])).toBe('LP016');
    await bind(e.db, lookers);
    expect(await door.refusal(pause)).toBe('LP016');
  });

  it('health asks for the operators that are bound, and for no viewer', async () => {
    const operators = operatorList.parse(`${OPERATORS},vera:viewer:${hash('vera-token-0123456789')}`);
    await bindOperators(e.db.ownerUrl, operators);
    const services = { ...e.services, settings: { ...e.services.settings, operators } };
    const probe = allProbes(services).find((p) => p.name === 'operators');
    expect(await probe!.ask()).toMatchObject({ status: 'ok' });
  });

  it('what was asked for a subject is told to no login without a token', async () => {
    const asked = "select retention.request_erasure('user', 'u', 'why', 'alice', 3)";
    const copy = "select retention.request_export('user', 'u', 'why', 'alice', 60)";
    for (const statement of [asked, copy]) await door.sql(statement);
    await bind();
    for (const statement of [asked, copy]) expect(await door.refusal(statement)).toBe('LP016');
  });

  it('through the door each acts with their own token, which no log holds', async () => {
    await bind();
    await aged(e, 1, 100, 30);
    await e.analyze();
    const { preview } = await e.run(policy, { dryRun: true, actor: 'alice', trigger: 'manual' });
    const held = await act(e.services, 'alice', {
      ...{ action: 'hold.place', scope: 'user', subject: randomUUID(), force: true, reason },
    });
    expect(held.status).toBe(200);
    const [hold] = await e.db.sql('select id::text from retention.hold');
    for (const [who, body] of [
      ['bob', { action: 'hold.release', id: hold?.id }],
      ['alice', { action: 'policy.pause', policy: 'things' }],
      ['bob', { action: 'policy.resume', policy: 'things' }],
      ['alice', { action: 'all.stop' }],
      ['bob', { action: 'all.resume' }],
      ['bob', { action: 'approval.give', policy: 'things', digest: preview?.approvable?.digest }],
    ] as const) {
      expect((await act(e.services, who, { ...body, reason })).status, body.action).toBe(200);
    }
    const asked = await erase('alice', { organization: randomUUID(), reason });
    expect(asked.status).toBe(202);
    expect((await erase('bob', { action: 'confirm', id: asked.body.id, reason })).status).toBe(200);
    expect(log.join('')).toContain('hold.released by bob');
    for (const token of Object.values(TOKENS)) expect(log.join('')).not.toContain(token);
  });

  it('orders are decided with the token too, and the watch needs none', async () => {
    const w = await orderWorld();
    try {
      await bind(w.db);
      const [resolved, extended, refunded, breached] = [
        await w.order(1),
        await w.order(1),
        await w.order(1),
        await w.order(30),
      ];
      const until = new Date(w.services.clock().getTime() + 5 * 86_400_000).toISOString();
      for (const body of [
        { action: 'order.resolve', order: resolved, decision: 'rejected' },
        { action: 'order.extend', order: extended, until },
        { action: 'order.refund', order: refunded },
      ]) {
        expect((await w.act({ ...body, reason })).status, body.action).toBe(200);
      }
      await w.watch();
      expect((await w.intent(breached))?.requested_by).toBe('order-review-sla');
      await bind(w.db, OPERATORS.replace(/alice:./, 'alice:0'));
      for (const body of [
        { action: 'order.resolve', order: extended, decision: 'rejected' },
        { action: 'order.refund', order: extended },
      ]) {
        expect(await w.act({ ...body, reason }), body.action).toMatchObject({
          status: 403,
          body: { error: { code: 'unproven' } },
        });
      }
    } finally {
      await w.stop();
    }
  });

  it('a token that was changed in the app alone is a 403 that says what to run, and nothing was changed', async () => {
    await bind(e.db, OPERATORS.replace(/alice:./, 'alice:0'));
    const told = { code: 'unproven', message: expect.stringContaining('npm run migrate') };
    for (const answer of [
      await act(e.services, 'alice', { action: 'all.stop', reason }),
      await erase('alice', { organization: randomUUID(), reason }),
    ]) {
      expect(answer).toMatchObject({ status: 403, body: { error: told } });
    }
    expect(await entries()).toBe(0);
    expect((await act(e.services, 'bob', { action: 'all.stop', reason })).status).toBe(200);
  });

  it('the owner of the database stops and resumes without a token', async () => {
    await bind();
    expect(await e.db.sql("select actor from retention.stop_all('you', 'why')")).toEqual([{ actor: 'you' }]);
    expect(await e.db.sql("select actor from retention.resume_all('another', 'why')")).toHaveLength(1);
  });

  it('a login that has the rights of an operator only by changing its role is asked too', async () => {
    await bind();
    const login = `lapse_test_${randomUUID().replaceAll('-', '')}`;
    await e.db.sql(`create role ${login} login password 'a-password' noinherit in role lapse_operator`);
    const url = new URL(e.db.env.DATABASE_URL!);
    url.username = login;
    url.password = 'a-password';
    const other = await loginAt(url.href);
    try {
      await other.sql('set role lapse_operator');
      expect(await other.refusal("select retention.stop_all('bob', 'why')")).toBe('LP016');
    } finally {
      await other.end();
      await e.db.sql(`drop role ${login}`);
    }
  });
});

it('neither the app nor the door can read or write who is bound, or take its guard for its own', async () => {
  await bind();
  for (const statement of [
    'select * from retention.operator',
    "insert into retention.operator (name, token_sha256) values ('mallory', '{x}')",
    "update retention.operator set token_sha256 = '{x}'",
    'delete from retention.operator',
    'truncate retention.operator',
    "select retention.prove_operator('bob')",
  ]) {
    for (const one of [app, door]) expect(await one.refusal(statement), statement).toBe('42501');
  }
});

it('while no operator is bound a name is enough, and the health check says so until the lists agree', async () => {
  const found = () =>
    allProbes(e.services)
      .find((p) => p.name === 'operators')!
      .ask();
  expect((await act(e.services, 'alice', { action: 'all.stop', reason })).status).toBe(200);
  expect(await door.sql("select retention.resume_all('bob', 'why')")).toHaveLength(1);
  const remedy = expect.stringContaining('npm run migrate');
  expect(await found()).toMatchObject({ status: 'absent', remedy });
  await bind(e.db, OPERATORS.split(',')[0]);
  expect(await found()).toMatchObject({ status: 'failed', remedy });
  await bind();
  expect(await found()).toMatchObject({ status: 'ok' });
});

it('npm run migrate binds exactly those of LAPSE_OPERATORS, says what it changed, and leaves them alone without it', async () => {
  const migrate = (LAPSE_OPERATORS?: string) =>
    promisify(execFile)(process.execPath, ['--import', 'tsx', 'lib/dev/cli/migrate.ts'], {
      env: {
        ...process.env,
        LAPSE_OPERATORS: undefined,
        ...(LAPSE_OPERATORS === undefined ? {} : { LAPSE_OPERATORS }),
        MIGRATION_DATABASE_URL: e.db.ownerUrl,
      },
    }).catch((error: { code: number; stdout: string; stderr: string }) => error);
  const bound = () =>
    e.db.sql('select name, cardinality(token_sha256) as tokens from retention.operator order by name');
  expect((await migrate()).stdout).toBe('nothing to do\n');
  expect((await migrate(OPERATORS)).stdout).toBe('operator alice: bound\noperator bob: bound\n');
  expect((await migrate(OPERATORS)).stdout).toBe('nothing to do\n');
  const successor = `bob:${'0'.repeat(64)}`;
  expect((await migrate(`${OPERATORS},${successor}`)).stdout).toBe('operator bob: token changed\n');
  expect(await bound()).toEqual([
    { name: 'alice', tokens: 1 },
    { name: 'bob', tokens: 2 },
  ]);
  expect((await migrate(successor)).stdout).toBe('operator alice: removed\noperator bob: token changed\n');
  for (const nothing of [undefined, '']) expect((await migrate(nothing)).stdout).toBe('nothing to do\n');
  expect(await migrate('bob')).toMatchObject({ code: 2, stderr: expect.stringContaining('LAPSE_OPERATORS') });
  expect(await bound()).toEqual([{ name: 'bob', tokens: 1 }]);
});

async function erase(who: keyof typeof TOKENS, body: unknown) {
  const answer = await erasureRoute(() => e.services).POST(
    new Request('http://localhost/api/erasure', {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKENS[who]}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  );
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}
