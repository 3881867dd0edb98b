/** Lapse works with the rights of its roles and no others: a login that could switch a guard off is refused before it is used. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { healthRoute } from '@/lib/http/health-route';
import { connect, type Database } from '@/lib/platform/database';
import { LoginError } from '@/lib/platform/errors';
import { fitLogin, type Role } from '@/lib/platform/login';
import { createServices } from '@/lib/services';
import { allProbes } from '@/lib/watch/health/probes';
import { type Engine, engine, govern, left, NOW, runRequest, things } from '../support/engine';
import { act, OPERATORS } from '../support/operators';

let e: Engine;
let made: string[];
beforeEach(async () => {
  e = await engine();
  made = [];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const role of made.reverse()) await e.db.sql(`drop owned by ${role}; drop role ${role}`);
  await e.stop();
});

const quoted = (text: string) => `"${text}"`;
/** A login, or a role to be a member of. */
async function role(options: string, prefix = 'lapse_test'): Promise<string> {
  const name = `${prefix}_${randomUUID().slice(0, 8)}`;
  await e.db.sql(`create role ${name} login password 'a-password' ${options}`);
  made.push(name);
  return name;
}
const urlOf = (login: string) => {
  const url = new URL(e.db.env.DATABASE_URL!);
  url.username = login;
  url.password = 'a-password';
  return url.href;
};
/** What reaches the server, and the database as Lapse would use it. */
function as(url: string, wanted: Role = 'lapse_app', orVariable?: string) {
  const sent: string[] = [];
  const raw = connect(url, e.db.env.NEON_HTTP_ENDPOINT);
  const seen: Database = {
    transaction: (statements, options) => {
      sent.push(...statements.map((s) => s.text));
      return raw.transaction(statements, options);
    },
  };
  const database = fitLogin(seen, {
    role: wanted,
    variable: 'DATABASE_URL',
    ...(orVariable ? { orVariable } : {}),
  });
  const ask = () => database.transaction([{ text: 'select 1 as asked', params: [] }], { timeoutMs: 10_000 });
  return {
    ask,
    asked: () => sent.filter((text) => text.includes('as asked')).length,
    looks: () => sent.length,
  };
}

describe('a login is refused, and nothing is asked with it,', () => {
  it('that owns the schema, and is a superuser', async () => {
    const owner = as(e.db.ownerUrl);
    await expect(owner.ask()).rejects.toThrow(
      /DATABASE_URL logs in as \w+, who is a superuser: .* create role .* in role lapse_app; and name it in DATABASE_URL/,
    );
    await expect(owner.ask()).rejects.toBeInstanceOf(LoginError);
    expect(owner.asked()).toBe(0);
  });

  it.each<[string, () => Promise<string>, RegExp]>([
    ['that may make roles', () => role('createrole in role lapse_app'), /who may make roles/],
    [
      'that may become somebody who makes roles',
      async () => role(`noinherit in role lapse_app, ${await role('createrole', 'maker')}`),
      /may become maker_\w+, who may make roles/,
    ],
    [
      'that may become a superuser',
      async () => role(`in role lapse_app, ${await role('superuser', 'root')}`),
      /may become root_\w+, a superuser/,
    ],
    [
      'that may write every table',
      // Roles belong to the whole server: one that inherited this could delete from every table of every other test's database.
      () => role('noinherit in role lapse_app, pg_write_all_data'),
      /is a member of pg_write_all_data/,
    ],
    [
      'that may read what proves a batch',
      () => role('in role lapse_app, pg_read_all_data'),
      /is a member of pg_read_all_data/,
    ],
    [
      'that may start programs of the server',
      () => role('in role lapse_app, pg_execute_server_program'),
      /is a member of pg_execute_server_program/,
    ],
    [
      'that may become the owner of the schema, who is no superuser',
      async () => {
        const owner = await role('', 'keeper');
        await e.db.sql(`alter schema retention owner to ${owner}`);
        return role(`in role lapse_app, ${owner}`);
      },
      /owns schema retention/,
    ],
    [
      'that owns a table of the schema',
      async () => {
        const login = await role('in role lapse_app');
        await e.db.sql(`alter table retention.quality owner to ${login}`);
        return login;
      },
      /owns retention\.quality/,
    ],
    [
      'that owns a function of the schema',
      async () => {
        const login = await role('in role lapse_app');
        await e.db.sql(`alter function retention.run_bounds() owner to ${login}`);
        return login;
      },
      /owns retention\.run_bounds\(\)/,
    ],
    [
      'that owns a table rows leave by a receipt only',
      async () => {
        await govern(e.db);
        const login = await role('in role lapse_app');
        await e.db.sql(`alter table things owner to ${login}`);
        return login;
      },
      /owns things, from which rows go by a receipt only/,
    ],
    [
      'that owns the database',
      async () => {
        const login = await role('in role lapse_app');
        await e.db.sql(`alter database ${quoted(e.db.name)} owner to ${login}`);
        return login;
      },
      /owns the database/,
    ],
    [
      'that is no member of its role',
      () => role('in role lapse_reader'),
      /has not the rights of lapse_app, .* grant lapse_app to "lapse_test_/,
    ],
    [
      'that has its role only by changing to it',
      () => role('noinherit in role lapse_app'),
      /has not the rights of lapse_app/,
    ],
  ])('%s', async (_, login, words) => {
    const database = as(urlOf(await login()));
    await expect(database.ask()).rejects.toThrow(words);
    expect(database.asked()).toBe(0);
    await e.db.sql(`alter database ${quoted(e.db.name)} owner to current_user`);
    await e.db.sql('alter schema retention owner to current_user');
  });
});

it('a login that was mended is used by the next request, without a restart', async () => {
  const login = await role('');
  const database = as(urlOf(login));
  await expect(database.ask()).rejects.toThrow(/grant lapse_app/);
  await e.db.sql(`grant lapse_app to ${login}`);
  expect(await database.ask()).toEqual([[{ asked: 1 }]]);
});

it('a login that is fit is looked at once, however many ask at the same time', async () => {
  const database = as(e.db.env.DATABASE_URL!);
  await Promise.all([database.ask(), database.ask(), database.ask()]);
  const first = database.looks();
  await database.ask();
  expect([database.asked(), database.looks() - first]).toEqual([4, 1]);
});

it('a look that is not answered is no verdict', async () => {
  const url = new URL(e.db.env.DATABASE_URL!);
  url.password = 'wrong';
  await expect(as(url.href).ask()).rejects.not.toBeInstanceOf(LoginError);
});

it('the owner runs nothing: the run is errored, no row goes, and the health check says why', async () => {
  const policy = await govern(e.db);
  await things(e.db, [40 * 86_400]);
  const env = { ...e.db.env, DATABASE_URL: e.db.ownerUrl, METRICS_TOKEN: 'a-token-of-the-tests' };
  const services = {
    ...createServices({
      ...env,
      CRON_SECRET: 'a-secret-of-the-tests',
      VERCEL_ENV: 'production',
      LOG_LEVEL: 'silent',
    }),
    clock: e.services.clock,
    backoff: e.services.backoff,
  };
  const result = await runPolicy(services, policy, runRequest(NOW));
  expect([result.outcome, result.deleted]).toEqual(['errored', 0]);
  expect(result.message).toMatch(/is a superuser/);
  expect(await left(e.db)).toBe(1);
  vi.stubEnv('METRICS_TOKEN', 'a-token-of-the-tests');
  const answer = await healthRoute(() => services)(
    new Request('http://localhost/api/health', { headers: { authorization: 'Bearer a-token-of-the-tests' } }),
  );
  const { checks } = (await answer.json()) as { checks: { name: string; status: string; message: string }[] };
  expect(answer.status).toBe(503);
  expect(checks.find((c) => c.name === 'database')).toMatchObject({
    status: 'failed',
    message: expect.stringContaining('is a superuser'),
  });
});

describe('one login for all', () => {
  const single = (login: string) => {
    const { DATABASE_URL_OPERATOR: _, DATABASE_URL_READER: __, ...env } = e.db.env;
    return createServices({
      ...env,
      DATABASE_URL: urlOf(login),
      CRON_SECRET: 'a-secret-of-the-tests',
      LAPSE_OPERATORS: OPERATORS,
      LOG_LEVEL: 'silent',
    });
  };
  const stop = { action: 'all.stop', reason: 'looked at' };

  it('opens the doors of operators and readers when it is a member of their roles, and health says that it is one', async () => {
    const services = single(await role('in role lapse_app, lapse_operator, lapse_reader'));
    expect((await act(services, 'alice', stop)).status).toBe(200);
    const logins = await allProbes(services)
      .find((p) => p.name === 'logins')!
      .ask();
    expect(logins).toMatchObject({
      status: 'absent',
      message: expect.stringContaining('lapse_operator and lapse_reader'),
      remedy: expect.stringMatching(
        /DATABASE_URL_OPERATOR.*revoke lapse_operator, lapse_reader from "lapse_test_/,
      ),
    });
  });

  it('keeps both shut when it is not, and the log says what to grant, or which setting to give', async () => {
    const login = await role('in role lapse_app');
    const services = single(login);
    expect(await act(services, 'alice', stop)).toMatchObject({
      status: 500,
      body: { error: { message: expect.stringContaining('too many rights or too few') } },
    });
    expect(await e.db.sql('select stopped from retention.kill_switch')).toEqual([{ stopped: false }]);
    const ask = (database: Database) =>
      database.transaction([{ text: 'select 1', params: [] }], { timeoutMs: 5_000 });
    await expect(ask(services.deciding)).rejects.toThrow(
      new RegExp(
        `grant lapse_operator to "${login}"; or make a login of its own.*name it in DATABASE_URL_OPERATOR`,
      ),
    );
    await expect(ask(services.reading)).rejects.toThrow(/grant lapse_reader .* DATABASE_URL_READER/);
    expect(await ask(services.database)).toHaveLength(1);
  });
});
