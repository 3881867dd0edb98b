/** Lanes by the index: every guarantee of one lane, with three of them. */
import { afterEach, describe, expect, it } from 'vitest';
import { acquire } from '@/lib/engine/run/checkpoint';
import type { RunResult } from '@/lib/engine/run/result';
import { runPolicy } from '@/lib/engine/run/run';
import { verify } from '@/lib/operators/audit/verify';
import type { Database } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import { days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import type { Services } from '@/lib/services';
import {
  ago,
  DAY,
  type Engine,
  engine,
  govern,
  left,
  NOW,
  receipted,
  runRequest,
} from '@/test/support/engine';

let e: Engine;
afterEach(() => e?.stop());

const ROWS = 600;
const STAY = 5;

/** Expired rows, more of them the younger they are, and a few that stay. Stretches of forty rows and more. */
async function fill(changes: Partial<PolicyInput> = {}, env: Record<string, string> = {}): Promise<Policy> {
  e = await engine({ env: { CLEANUP_LANES: '3', CLEANUP_BATCH_SIZE: '4', ...env } });
  const policy = await govern(e.db, changes);
  await e.db.sql(
    `insert into things (at) select $1::timestamptz - make_interval(secs => 31 * ${DAY} + power(i, 2) * 100) from generate_series(1, ${ROWS}) i`,
    [NOW.toISOString()],
  );
  await e.db.sql(`insert into things (at) select $1::timestamptz from generate_series(1, ${STAY})`, [
    ago(DAY),
  ]);
  return policy;
}

type Statements = Parameters<Database['transaction']>[0];
const isBatch = (s: Statements) =>
  s.some((x) => x.text.includes('enter_batch')) && s.some((x) => x.text.includes('confirm_batch'));

/** Every expired row in exactly one receipt, no other gone, and the evidence whole. */
async function expectDone(rows = ROWS) {
  const named = await receipted(e.db);
  expect(named.size).toBe(rows);
  expect([...named.values()].every((n) => n === 1)).toBe(true);
  expect(await left(e.db)).toBe(ROWS + STAY - rows);
  expect(await verify(e.services.database)).toMatchObject({ ok: true });
}

const noAnswer = () => new DatabaseError('unknown', null, 'no answer (test)');
const withoutLease = () =>
  e.services.redis.eval("return redis.call('del', KEYS[1])", [`${e.services.redis.prefix}things:lease`], []);

/** The database, with something done around each batch. */
const around = (batch: (n: number, send: () => Promise<unknown>) => Promise<unknown>): Database => {
  let n = 0;
  return {
    transaction: (statements, options) => {
      const send = () => e.services.database.transaction(statements, options);
      if (!isBatch(statements)) return send();
      n += 1;
      return batch(n, send) as ReturnType<Database['transaction']>;
    },
  };
};
const runOn = (policy: Policy, services: Partial<Services>, changes = {}): Promise<RunResult> =>
  runPolicy({ ...e.services, ...services }, policy, runRequest(NOW, changes));

describe.each([
  ['where ANALYZE has seen the clocks', true],
  ['where nothing is known of them', false],
])('%s', (_, isAnalyzed) => {
  it('three batches are under way at once, and every row goes once', async () => {
    const policy = await fill();
    if (isAnalyzed) await e.db.sql('analyze things');
    let release: () => void = () => undefined;
    const three = new Promise<void>((done) => {
      release = done;
    });
    const database = around(async (n, send) => {
      if (n === 3) release();
      // With fewer lanes the third would never come.
      await three;
      return send();
    });
    const result = await runOn(policy, { database });
    expect(result).toMatchObject({ outcome: 'succeeded', path: 'index', deleted: ROWS, picked: ROWS });
    await expectDone();
  });
});

it.each(['timestamptz', 'timestamp', 'date'] as const)(
  'divides a clock of type %s, with clocks that are no time',
  async (type) => {
    const policy = await fill({
      clock: type === 'timestamptz' ? { column: 'at', type } : { column: 'at', type, zone: 'UTC' },
    });
    await e.db.sql(`alter table things alter at type ${type} using (at at time zone 'UTC')`);
    await e.db.sql(`insert into things (at) values ('-infinity'), ('infinity'), (null)`);
    for (const analyzed of [false, true]) {
      if (analyzed) {
        await e.db.sql('analyze things');
        await e.db.sql(
          `insert into things (at) select ($1::timestamptz at time zone 'UTC') - make_interval(secs => 32 * ${DAY} + i * 1000) from generate_series(1, ${ROWS}) i`,
          [NOW.toISOString()],
        );
      }
      const result = await e.run(policy);
      expect(result).toMatchObject({ outcome: 'succeeded', deleted: ROWS });
      // A row that has no time is looked at, and stays.
      expect(result.picked).toBe(ROWS + 1);
    }
    expect(await left(e.db)).toBe(STAY + 3);
  },
);

it('counts what stays as one lane does', async () => {
  const policy = await fill();
  await e.db.sql('analyze things');
  await e.db.sql(
    `insert into retention.hold (scope, subject, table_name, reason, placed_by)
     select 'item', id::text, 'public.things', 'm', 'a' from (select id, row_number() over (order by at) n from things) x where n % 20 = 0 and n <= ${ROWS}`,
  );
  const dry = await e.run(policy, { dryRun: true });
  expect(await e.run(policy)).toMatchObject({
    ...{ outcome: 'succeeded', deleted: ROWS - 30, picked: ROWS },
    kept: dry.kept,
  });
  expect(dry.kept).toMatchObject({ held: 30, busy: 0 });
});

it.each(Array.from({ length: 14 }, (_, i) => i + 1))(
  'killed at request %i and called again, ends as if undisturbed',
  async (at) => {
    const policy = await fill();
    await e.db.sql('analyze things');
    for (const when of ['before', 'after'] as const) {
      let n = 0;
      const dead: Database = {
        async transaction(statements, options) {
          n += 1;
          const mine = n;
          if (mine > at || (mine === at && when === 'before')) throw noAnswer();
          const rows = await e.services.database.transaction(statements, options);
          if (n >= at) throw noAnswer();
          return rows;
        },
      };
      await runOn(policy, { database: dead, backoff: { ...e.services.backoff, retries: 1 } });
      await withoutLease();
    }
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded' });
    await expectDone();
    expect(await e.db.sql('select 1 from retention.run where finished_at is null')).toEqual([]);
  },
);

it('asks again for answers that were lost, under the same numbers', async () => {
  const policy = await fill();
  await e.db.sql('analyze things');
  const database = around(async (n, send) => {
    if (n % 5 === 0) throw noAnswer();
    const rows = await send();
    if (n % 3 === 0) throw noAnswer();
    return rows;
  });
  expect(await runOn(policy, { database })).toMatchObject({
    outcome: 'succeeded',
    deleted: ROWS,
    picked: ROWS,
  });
  await expectDone();
});

it('another run that begins in the middle leaves the first nothing to delete', async () => {
  const policy = await fill();
  await e.db.sql('analyze things');
  let second: Promise<RunResult> | undefined;
  const database = around(async (n, send) => {
    if (n === 7) {
      await withoutLease();
      second = e.run(policy);
    }
    if (n >= 7) await second;
    return send();
  });
  const first = await runOn(policy, { database });
  expect(first.outcome).toBe('interrupted');
  expect(['lease', 'fenced']).toContain(first.reason);
  expect((await second!).deleted + first.deleted).toBe(ROWS);
  await expectDone();
});

it('stopped for time it continues at the first place that is not done, and looks at no row twice', async () => {
  const policy = await fill();
  await e.db.sql('analyze things');
  let now = NOW;
  const database = around(async (n, send) => {
    const rows = await send();
    if (n === 8) now = new Date(NOW.getTime() + 3_600_000);
    return rows;
  });
  const first = await runOn(policy, { database, clock: () => now });
  expect(first).toMatchObject({ outcome: 'interrupted', reason: 'time' });
  expect(first.deleted).toBeGreaterThan(0);
  const saved = await acquire(e.services.redis, policy.name, 'a-look');
  expect(saved).toMatchObject({ held: true, cursor: { leg: 0, processed: first.deleted } });
  const { clock, key } = (saved.held && saved.cursor?.position) || { clock: null, key: [] };
  expect(
    await e.db.sql(
      `select 1 from things where at < $1::timestamptz or at = $1 and id <= coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')`,
      [clock, key[0] ?? null],
    ),
  ).toEqual([]);
  await withoutLease();
  const second = await e.run(policy);
  expect(second).toMatchObject({
    outcome: 'succeeded',
    deleted: ROWS - first.deleted,
    picked: ROWS - first.picked,
  });
  await expectDone();
});

describe('what bounds a run bounds all its lanes', () => {
  it('a step of the rollout deletes exactly as many, the oldest', async () => {
    const policy = await fill({}, { LAPSE_PROGRESSIVE_ROLLOUT: 'on' });
    await e.db.sql('analyze things');
    const oldest = await e.db.sql<{ id: string }>('select id from things order by at, id limit 110');
    expect(await e.run(policy)).toMatchObject({ reason: 'rollout', deleted: 10 });
    expect(await e.run(policy)).toMatchObject({ reason: 'rollout', deleted: 100 });
    expect([...(await receipted(e.db)).keys()].sort()).toEqual(oldest.map((r) => r.id).sort());
    expect(await e.run(policy)).toMatchObject({ deleted: ROWS - 110 });
    await expectDone();
  });

  it('a limit deletes exactly as many', async () => {
    const policy = await fill();
    await e.db.sql('analyze things');
    expect(await e.run(policy, { limit: 101 })).toMatchObject({ reason: 'limit', deleted: 101 });
    await expectDone(101);
  });

  it('a limit far above what lanes can be at once deletes exactly as many, in lanes', async () => {
    const policy = await fill({}, { CLEANUP_LANES: '2', CLEANUP_BATCH_SIZE: '1000' });
    const limit = 161_003;
    await e.db.sql(
      `insert into things (at) select $1::timestamptz - make_interval(secs => 40 * ${DAY} + i) from generate_series(1, 170000) i`,
      [NOW.toISOString()],
    );
    await e.db.sql('analyze things');
    let [atWork, atOnce] = [0, 0];
    const database = around((_, send) => {
      atWork += 1;
      atOnce = Math.max(atOnce, atWork);
      return send().finally(() => {
        atWork -= 1;
      });
    });
    expect(await runOn(policy, { database }, { limit })).toMatchObject({ reason: 'limit', deleted: limit });
    expect(atOnce).toBe(2);
    expect(await left(e.db)).toBe(ROWS + STAY + 170_000 - limit);
  });

  it('a pause in the middle stops them all, and nothing goes after it', async () => {
    const policy = await fill();
    await e.db.sql('analyze things');
    const database = around(async (n, send) => {
      if (n === 6) {
        await e.db.sql(
          "update retention.policy_state set paused = true, paused_by = 'a', paused_reason = 'b', paused_at = now()",
        );
      }
      return send();
    });
    const result = await runOn(policy, { database });
    expect(result).toMatchObject({ outcome: 'interrupted', reason: 'paused' });
    const gone = result.deleted;
    expect(await left(e.db)).toBe(ROWS + STAY - gone);
    await e.db.sql(
      'update retention.policy_state set paused = false, paused_by = null, paused_reason = null, paused_at = null',
    );
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: ROWS - gone });
    await expectDone();
  });

  it('a batch size of its own keeps it to one lane', async () => {
    const policy = await fill();
    const result = await e.run(policy, { batchSize: 50 });
    expect(result).toMatchObject({ outcome: 'succeeded', batches: ROWS / 50 });
  });
});

it('small work has one lane, and asks for no more than it', async () => {
  const policy = await fill({}, { CLEANUP_BATCH_SIZE: '400' });
  const asked = async (lanes: number) => {
    const services = { ...e.services, settings: { ...e.services.settings, lanes } };
    const { requests } = await runPolicy(services, policy, runRequest(NOW));
    await e.db.sql(
      `insert into things (at) select $1::timestamptz - interval '40 days' from generate_series(1, ${ROWS})`,
      [NOW.toISOString()],
    );
    return requests.postgres;
  };
  // What the first run of a version asks is no measure.
  await asked(1);
  expect(await asked(3)).toBe(await asked(1));
});

it('as many as the server bears, where nobody says how many', async () => {
  e = await engine({ env: { CLEANUP_BATCH_SIZE: '4' } });
  expect(e.services.settings.lanes).toBe(undefined);
  const policy = await govern(e.db);
  await e.db.sql(
    `insert into things (at) select $1::timestamptz - make_interval(secs => 31 * ${DAY} + i) from generate_series(1, ${ROWS}) i`,
    [NOW.toISOString()],
  );
  let atWork = 0;
  let atOnce = 0;
  let release: () => void = () => undefined;
  const two = new Promise<void>((done) => {
    release = done;
  });
  const database = around(async (n, send) => {
    atWork += 1;
    atOnce = Math.max(atOnce, atWork);
    if (n === 2) release();
    await two;
    return send().finally(() => {
      atWork -= 1;
    });
  });
  expect(await runOn(policy, { database })).toMatchObject({ outcome: 'succeeded', deleted: ROWS });
  expect(atOnce).toBe(2);
});

describe('rows that refuse', () => {
  const refusing = async () => {
    await e.db.sql(
      `update things set note = 'bad' where id in (select id from (select id, row_number() over (order by at) n from things) x where n in (3, 210, 590))`,
    );
    await e.db.sql(`create function refuse() returns trigger language plpgsql as $$ begin
      if old.note = 'bad' then raise exception 'no' using errcode = 'P0001'; end if; return old; end $$`);
    await e.db.sql('create trigger refuse before delete on things for each row execute function refuse()');
  };

  it('are set aside in whatever lane they are, while the others go on', async () => {
    const policy = await fill({ knownTriggers: ['refuse'] });
    await refusing();
    await e.db.sql('analyze things');
    let committed = 0;
    let release: (() => void) | undefined;
    const database: Database = {
      async transaction(statements, options) {
        // The first waits until others have taken the number that the failed batch had.
        if (statements.some((s) => s.text.includes('try_each')) && release === undefined) {
          committed = 0;
          await new Promise<void>((done) => {
            release = done;
          });
        }
        const rows = await e.services.database.transaction(statements, options);
        if (isBatch(statements)) committed += 1;
        if (committed === 3) release?.();
        return rows;
      },
    };
    const result = await runOn(policy, { database });
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: ROWS - 3, kept: { dead_letter: 3 } });
    expect(await e.db.sql('select count(*)::int as n from retention.dead_letter')).toEqual([{ n: 3 }]);
    expect(await left(e.db)).toBe(STAY + 3);
  });

  it('and one that takes too long makes only the batches of its own lane smaller', async () => {
    const policy = await fill();
    await e.db.sql('analyze things');
    const limits: number[] = [];
    let first: string | undefined;
    let another: () => void = () => undefined;
    const database: Database = {
      async transaction(statements, options) {
        if (isBatch(statements)) {
          const { text, params } = statements.find((s) => s.text.includes(' as picked'))!;
          const until = /"at" < \$(\d+)::timestamptz\s+order by/.exec(text)?.[1];
          // By range its last row is looked up.
          const limit = 1 + Number(params[Number(/offset \$(\d+)::int/.exec(text)![1]) - 1]);
          const end = until ? String(params[Number(until) - 1]) : 'none';
          first ??= end;
          // Of the first stretch no batch is small enough until it has one row.
          if (end === first && limits.at(-1) !== 1) {
            limits.push(limit);
            if (limit > 1) {
              // Another lane's batch was fast meanwhile, and asks for larger ones.
              const isPatient = limits.length < 5;
              await new Promise<void>((done) => {
                if (isPatient) another = done;
                else done();
              });
              throw new DatabaseError('timeout', '57014', 'statement timeout (test)');
            }
          }
        }
        const rows = await e.services.database.transaction(statements, options);
        setImmediate(another);
        return rows;
      },
    };
    expect(await runOn(policy, { database })).toMatchObject({ outcome: 'succeeded', deleted: ROWS });
    expect(limits).toEqual([4, 2, 1]);
    await expectDone();
  });
});

it('rows with dependants go in lanes, each with all its children', async () => {
  const policy = await fill({
    dependants: [
      {
        table: { name: 'notes' },
        key: [{ column: 'id', type: 'uuid' }],
        references: ['thing'],
        fate: 'delete',
      },
    ],
  });
  await e.db.sql(
    'create table notes (id uuid primary key default gen_random_uuid(), thing uuid references things); create index on notes (thing); grant select, update, delete on notes to lapse_app',
  );
  await e.db.sql('insert into notes (thing) select id from things, generate_series(1, 3)');
  await e.db.sql('analyze things, notes');
  let [atWork, atOnce] = [0, 0];
  const database = around((_, send) => {
    atWork += 1;
    atOnce = Math.max(atOnce, atWork);
    return send().finally(() => {
      atWork -= 1;
    });
  });
  await e.db.sql("select retention.protect('public.notes')");
  expect(await runOn(policy, { database })).toMatchObject({
    ...{ outcome: 'succeeded', deleted: ROWS, dependantsDeleted: 3 * ROWS },
  });
  expect(atOnce).toBe(3);
  expect(await left(e.db, 'notes')).toBe(3 * STAY);
  await expectDone();
});

it('tenants are divided among the lanes, none of them between two', async () => {
  const policy = await fill({
    rules: [
      { label: 'short', keepFor: days(10) },
      { label: 'long', keepFor: days(1000) },
    ],
    tenants: {
      table: { name: 'orgs' },
      key: { column: 'id', type: 'uuid' },
      column: 'org',
      label: 'o.tier',
      judgedBy: [{ name: 'orgs' }],
    },
  });
  // Of sixty organizations a third has a tier that keeps all it has, and one a tier that no rule knows.
  await e.db.sql(`create table orgs (id uuid primary key default gen_random_uuid(), n int, tier text);
    create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
    create index on things (org, at, id); grant select on orgs to lapse_app;
    insert into orgs (n, tier) select i, case when i = 0 then 'odd' when i % 3 = 0 then 'long' else 'short' end from generate_series(0, 59) i;
    update things t set org = o.id from (select id, row_number() over (order by at, id) as n from things) x, orgs o
      where x.id = t.id and o.n = x.n % 60`);
  await e.db.sql('analyze things, orgs');
  const [due] = await e.db.sql<{ n: number }>(
    `select count(*)::int as n from things join orgs o on o.id = org where tier = 'short' and at < $1`,
    [ago(10 * DAY)],
  );
  expect(due?.n).toBeGreaterThan(300);
  let [atWork, atOnce] = [0, 0];
  const database = around((_, send) => {
    atWork += 1;
    atOnce = Math.max(atOnce, atWork);
    return send().finally(() => {
      atWork -= 1;
    });
  });
  const dry = await e.run(policy, { dryRun: true });
  const result = await runOn(policy, { database });
  expect(result).toMatchObject({
    outcome: 'succeeded',
    path: 'tenant',
    deleted: due?.n,
    picked: dry.picked,
    kept: dry.kept,
  });
  expect(result.kept.unknown_rule).toBe(1);
  expect(atOnce).toBe(3);
  expect([...(await receipted(e.db)).values()].every((n) => n === 1)).toBe(true);
  expect(await e.db.sql('select sum(deleted)::int as n from retention.tenant_total')).toEqual([
    { n: due?.n },
  ]);
  expect(await verify(e.services.database)).toMatchObject({ ok: true });
});
