/**
 * A batch that deletes a range of the index takes no locks first. What keeps it right beside other sessions is that
 * PostgreSQL judges the whole condition again on a newer version of a row; that the rest is the same as for rows which
 * are locked one by one is held against that form.
 */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { type BatchRequest, batch } from '@/lib/engine/statement/batch';
import { legsOf, type Position } from '@/lib/engine/statement/leg';
import type { Database, Statement } from '@/lib/platform/database';
import { session } from '@/lib/platform/session';
import { days, definePolicy, forever, type Policy } from '@/lib/policies/contract';
import type { TestSession } from '../../support/database';
import {
  ago,
  DAY,
  type Engine,
  engine,
  govern,
  left,
  NOW,
  runRequest,
  things,
  thingsPolicy,
} from '../../support/engine';
import { untilWaiting } from '../../support/waiting';

let e: Engine;
let own: TestSession;
let other: TestSession;
beforeEach(async () => {
  e = await engine();
  [own, other] = [await e.db.session(), await e.db.session()];
});
afterEach(() => e.stop());

interface Answer extends Record<string, unknown> {
  readonly deleted: string;
  readonly after: Position & { readonly ended: boolean };
}
const send = <R extends Record<string, unknown>>(s: Statement) => own.sql<R>(s.text, s.params);

async function begun(policy: Policy, changes: Partial<BatchRequest> = {}): Promise<BatchRequest> {
  const runId = randomUUID();
  const [row] = await e.db.sql<{ fence: string }>(
    `select fence::text from retention.begin_run($1, $2::uuid, 'v1', $3, 'cron', 'cron', 'test')`,
    [policy.name, runId, NOW.toISOString()],
  );
  return {
    policy,
    version: 'v1',
    runId,
    fence: row!.fence,
    seq: 1,
    leg: legsOf(policy, NOW, 0)[0]!,
    position: null,
    limit: 10,
    asOf: NOW.toISOString(),
    actor: 'cron',
    reason: 'retention',
    statementTimeoutMs: 5_000,
    byRange: true,
    ...changes,
  };
}

/** Sends a batch up to its deleting statement, in a transaction that stays open. */
async function deciding(request: BatchRequest, patience?: string): Promise<Answer> {
  const { entered, deleted } = batch(request).queries;
  await own.sql('begin');
  for (const s of [session(5_000), entered]) await send(s);
  if (patience) await own.sql(`set local lock_timeout = '${patience}'`);
  return (await send<Answer>(deleted))[0]!;
}

/** What it would do, and the keys its receipt would name; it is undone. */
async function tried(request: BatchRequest): Promise<{ answer: Answer; keys: unknown }> {
  const answer = await deciding(request);
  const keys = await own.sql(
    'select array(select unnest(retention.keys_of(r)) order by 1) as keys from retention.receipt r',
  );
  await own.sql('rollback');
  return { answer, keys };
}

/** Its deleting statement meets a row that another session is changing, and waits until that has committed. */
async function meeting(request: BatchRequest, change: string): Promise<Answer> {
  await other.sql('begin');
  await other.sql(change);
  const [mine] = await own.sql('select pg_backend_pid() as pid');
  const answered = deciding(request, '1min');
  await untilWaiting(e.db, `l.pid = ${mine?.pid}`, answered);
  await other.sql('commit');
  const answer = await answered;
  for (const s of [batch(request).queries.confirmed]) await send(s);
  await own.sql('commit');
  return answer;
}

/** The expired thing of so many days. */
const of = (age: number) => `at = '${ago(age * DAY)}'`;

describe('beside a session that is changing a row of the range, the batch', () => {
  it.each([
    ['leaves one whose clock moved to the present', `update things set at = now() where ${of(41)}`],
    [
      'leaves one that moved behind its end, though it has expired',
      `update things set at = '${ago(35 * DAY)}' where ${of(41)}`,
    ],
    ['leaves one that its condition keeps now', `update things set note = 'keep' where ${of(41)}`],
    ['does not count one that the other deleted', `delete from things where ${of(41)}`],
  ])('%s', async (_, change) => {
    const policy = await govern(e.db, { where: `t.note is distinct from 'keep'` });
    const ids = await things(e.db, [42 * DAY, 41 * DAY, 40 * DAY, 36 * DAY]);
    const request = await begun(policy, { limit: 3 });
    expect(await meeting(request, change)).toMatchObject({
      picked: 3,
      deleted: '2',
      kept: { busy: 1 },
      after: { ended: false, key: [ids[2]] },
    });
    expect(await e.db.sql('select retention.keys_of(r) as k from retention.receipt r')).toEqual([
      { k: [ids[0], ids[2]] },
    ]);
    expect((await e.db.sql('select 1 from things where id = $1', [ids[3]])).length).toBe(1);
  });

  it('deletes one of which another column changed', async () => {
    const policy = await govern(e.db);
    await things(e.db, [42 * DAY, 41 * DAY, 40 * DAY]);
    const answer = await meeting(await begun(policy), `update things set note = 'new' where ${of(41)}`);
    expect(answer).toMatchObject({ picked: 3, deleted: '3', kept: {} });
    expect(await left(e.db)).toBe(0);
  });

  it('leaves one that moved in front of its beginning', async () => {
    const policy = await govern(e.db);
    const ids = await things(e.db, [42 * DAY, 41 * DAY, 40 * DAY]);
    const position = { clock: ago(42 * DAY), key: [ids[0]!] };
    const answer = await meeting(
      await begun(policy, { position }),
      `update things set at = '${ago(50 * DAY)}' where ${of(41)}`,
    );
    expect(answer).toMatchObject({ picked: 2, deleted: '1', kept: { busy: 1 } });
    expect(await left(e.db)).toBe(2);
  });

  it('is refused by the foreign key when the row gets a child that keeps it', async () => {
    await govern(e.db);
    const [, gets] = await things(e.db, [42 * DAY, 41 * DAY, 40 * DAY]);
    await e.db.sql('create table notes (id serial primary key, thing uuid references things)');
    await e.db.sql('create index on notes (thing); grant select on notes to lapse_app');
    const request = await begun(thingsPolicy({ dependants: [blocking] }));
    const answered = meeting(request, `insert into notes (thing) values ('${gets}')`);
    await expect(answered).rejects.toMatchObject({ code: '23503' });
    expect(await left(e.db)).toBe(3);
  });

  it('leaves one that moved to another organization', async () => {
    const [policy, orgs] = await withOrgs();
    await e.db.sql(`insert into things (at, org) select $1, $2 from generate_series(1, 3)`, [
      ago(40 * DAY),
      orgs[0],
    ]);
    const [some] = await e.db.sql('select id::text from things limit 1');
    const change = `update things set org = '${orgs[1]}' where id = '${some?.id}'`;
    expect(await meeting(await begun(policy), change)).toMatchObject({ deleted: '2', kept: { busy: 1 } });
    expect(await e.db.sql('select id::text from things')).toEqual([some]);
  });
});

it('meets a row that stays locked, and steps over it in the other form, for this one batch and under its number', async () => {
  const policy = await govern(e.db);
  await things(e.db, [42 * DAY, 41 * DAY, 40 * DAY, 39 * DAY]);
  await other.sql('begin');
  await other.sql(`select 1 from things where ${of(41)} for update`);
  const sent: string[] = [];
  const database: Database = {
    transaction(statements, options) {
      const deleting = statements.find((s) => s.text.includes('delete from only "public"."things"'));
      if (deleting) {
        const seq = deleting.params
          .map(String)
          .find((p) => /^[0-9a-f-]{36}:\d+$/.test(p))!
          .split(':')[1];
        sent.push(`${seq} ${deleting.text.includes('skip locked') ? 'stepping over' : 'range'}`);
      }
      return e.services.database.transaction(statements, options);
    },
  };
  const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW, { batchSize: 2 }));
  expect(result).toMatchObject({ outcome: 'interrupted', reason: 'busy', deleted: 3, kept: { busy: 1 } });
  expect(sent.slice(0, 3)).toEqual(['1 range', '1 stepping over', '2 range']);
  await other.sql('rollback');
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
});

it('deletes nothing that is in no archive, where the policy archives first', async () => {
  const policy = await govern(e.db, { strategy: { kind: 'archive', keepFor: days(365) } });
  await things(e.db, [42 * DAY, 41 * DAY]);
  const request = await begun(policy);
  expect(await deciding(request)).toMatchObject({ picked: 2, deleted: '0', kept: { changed: 2 } });
  await own.sql('rollback');
});

it('leaves the planner ranges of an index and loops, in its transaction and no longer', async () => {
  const policy = await govern(e.db);
  const { entered } = batch(await begun(policy)).queries;
  const off = () =>
    own.sql(
      `select name from pg_settings where setting = 'off' and name in ('enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin')`,
    );
  await own.sql('begin');
  for (const s of [session(5_000), entered]) await send(s);
  expect(await off()).toHaveLength(4);
  await own.sql('rollback');
  expect(await off()).toEqual([]);
});

it('waits shorter for a locked row than for the locks it enters under', async () => {
  const policy = await govern(e.db);
  const { entered } = batch(await begun(policy)).queries;
  await own.sql('begin');
  for (const s of [session(5_000), entered]) await send(s);
  expect(
    await own.sql(
      `select current_setting('lock_timeout')::interval between '50 ms' and '100 ms' as short,
        current_setting('statement_timeout') as statement`,
    ),
  ).toEqual([{ short: true, statement: '5s' }]);
  await own.sql('rollback');
});

/** Two organizations of a short and a long period, one that keeps forever, one whose plan no rule has. */
async function withOrgs(): Promise<[Policy, string[]]> {
  await govern(e.db);
  await e.db.sql(`create table orgs (id uuid primary key default gen_random_uuid(), plan text);
    create index on things (org, at, id); grant select on orgs to lapse_app`);
  const orgs = await e.db.sql(
    `insert into orgs (plan) values ('short'), ('long'), ('forever'), ('odd'), ('short') returning id::text`,
  );
  const policy = definePolicy({
    ...thingsPolicy({ where: `t.note is distinct from 'keep'` }),
    rules: [
      { label: 'short', keepFor: days(30) },
      { label: 'long', keepFor: days(60) },
      { label: 'forever', keepFor: forever() },
    ],
    tenants: { table: { name: 'orgs' }, key: { column: 'id', type: 'uuid' }, column: 'org', label: 'o.plan' },
  });
  return [policy, orgs.map((o) => String(o.id))];
}

/** Things of all kinds: each reason to stay, many with the same clock, some still young. The same in each run of the test. */
async function mixed(orgs: readonly string[]): Promise<void> {
  await e.db.sql(
    `insert into things (id, at, org, person, note)
     select md5(i::text)::uuid, case i % 13 when 0 then '-infinity' else $1::timestamptz - make_interval(days => 20 + i / 5) end,
       ($2::uuid[])[1 + i % cardinality($2::uuid[])], case i % 7 when 3 then $3::uuid end, case i % 11 when 5 then 'keep' end
     from generate_series(1, 300) i`,
    [NOW.toISOString(), orgs.length > 0 ? orgs : [randomUUID(), randomUUID()], PERSON],
  );
  await e.db.sql(
    `insert into retention.hold (scope, subject, table_name, reason, placed_by)
     select 'user', $1, null, 'm', 'a' union all
     select * from (select 'item', id::text, 'public.things', 'm', 'a' from things order by id limit 40) x`,
    [PERSON],
  );
  await e.db.sql(
    `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by)
     select 'public.things', id::text, '2099-01-01', 'm', 'a' from things order by id desc limit 40`,
  );
  await e.db.sql(
    `insert into retention.dead_letter (policy, table_name, row_key, state, sql_state, next_attempt_at)
     select 'things', 'public.things', id::text, 'open', '23503', '2099-01-01' from things order by at, id limit 9`,
  );
  await e.db.sql('create table notes (id serial primary key, thing uuid references things)');
  await e.db.sql('create index on notes (thing); grant select on notes to lapse_app');
  await e.db.sql('insert into notes (thing) select id from things order by md5(id::text) limit 40');
  await e.db.sql('vacuum analyze things');
}
const PERSON = '00000000-0000-4000-8000-00000000000a';
const blocking = {
  table: { name: 'notes' },
  key: [{ column: 'id', type: 'int4' }],
  references: ['thing'],
  fate: 'block' as const,
};

describe('a range says and does the same as locking each row', () => {
  it.each(['by one rule', 'tenant by tenant'])('%s, batch after batch, whatever keeps rows', async (how) => {
    const [plain, orgs] = await withOrgs();
    const base = how === 'by one rule' ? thingsPolicy({ where: `t.note is distinct from 'keep'` }) : plain;
    await mixed(how === 'by one rule' ? [] : orgs);
    const policy = definePolicy({ ...base, dependants: [blocking] });
    const seen = new Set<string>();
    for (const limit of [1, 7, 40, 299, 1_000]) {
      let position: Position | null = null;
      const asked = await begun(policy, { limit });
      for (let isOver = false; !isOver; ) {
        const { answer: range, keys } = await tried({ ...asked, position });
        const same = await tried({ ...asked, position, byRange: false });
        const { ended, ...after } = range.after;
        // A position behind the end says nothing.
        if (ended) expect(same.answer.after.ended).toBe(true);
        expect({ keys, answer: ended ? { ...range, after: same.answer.after } : range }).toEqual(same);
        for (const reason of Object.keys(range.kept as object)) seen.add(reason);
        [position, isOver] = [after, ended];
      }
    }
    expect([...seen].sort()).toEqual(
      [
        ...['condition', 'dead_letter', 'extended', 'held', 'not_expired', 'referenced by public.notes'],
        ...(how === 'by one rule' ? [] : ['unknown_rule']),
      ].sort(),
    );
  });
});
