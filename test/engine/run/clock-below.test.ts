/** A clock that other rows have a part in: a conversation counts from its last message, also from one that is written meanwhile. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { legsOf } from '@/lib/engine/statement/leg';
import { explainRow } from '@/lib/operators/audit/explain-row';
import type { Database } from '@/lib/platform/database';
import { ask, asking } from '@/lib/platform/session';
import { clockInWords } from '@/lib/policies/clocks';
import { days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { measure } from '@/lib/watch/backlog/measure';
import { calendar } from '@/lib/watch/calendar/calendar';
import { countExcept } from '@/lib/watch/plan/except';
import { measurePolicy } from '@/lib/watch/quality/measure';
import {
  ago,
  DAY,
  type Engine,
  engine,
  fitsDatabase,
  NOW,
  runRequest,
  thingsPolicy,
} from '../../support/engine';
import { follow, named, refused } from '../../support/preflight';
import { advisory, untilWaiting } from '../../support/waiting';

let e: Engine;
beforeEach(async () => {
  e = await engine();
  await e.db.sql(`create table talks (id int primary key, begun_at timestamptz, folder int, state text);
    create table messages (id int generated always as identity primary key, talk int references talks on delete cascade, sent_at timestamptz, body text);
    create index on talks (begun_at, id)`);
});
afterEach(() => e.stop());

const MESSAGES = {
  table: { name: 'messages' },
  references: ['talk'],
  column: 'sent_at',
  type: 'timestamptz' as const,
};
const GOES = {
  table: { name: 'messages' },
  key: [{ column: 'id' }],
  references: ['talk'],
  fate: 'delete' as const,
};
const policyOf = (changes: Partial<PolicyInput> = {}): Policy =>
  thingsPolicy({
    table: { name: 'talks' },
    key: [{ column: 'id' }],
    scope: {},
    clock: { column: 'begun_at', type: 'timestamptz', orLaterIn: [MESSAGES] },
    dependants: [GOES],
    ...changes,
  });

const [OLD, YOUNG] = [ago(31 * DAY), ago(29 * DAY)];
/** Talks begun long ago, each with messages of these dates; 9 and 10 are young, or have no date, themselves. */
const TALKS: Readonly<Record<number, readonly (string | null)[]>> = {
  1: [OLD],
  2: [OLD, YOUNG],
  3: [],
  4: [OLD, null],
  5: [OLD, '-infinity'],
  6: [OLD, 'infinity'],
  7: [OLD, OLD, OLD],
  8: [YOUNG],
  9: [OLD],
  10: [OLD],
};
const GOING = [1, 3, 7];
async function filled(): Promise<void> {
  for (const [id, dates] of Object.entries(TALKS)) {
    const begun = id === '9' ? YOUNG : id === '10' ? null : OLD;
    await e.db.sql('insert into talks (id, begun_at) values ($1, $2)', [id, begun]);
    for (const at of dates) await e.db.sql('insert into messages (talk, sent_at) values ($1, $2)', [id, at]);
  }
}
const ids = async () => (await e.db.sql('select id from talks order by id')).map((r) => Number(r.id));
const STAYING = Object.keys(TALKS)
  .map(Number)
  .filter((id) => !GOING.includes(id));

it('is asked for what it needs, and what the last message says goes: nothing else, in batches of any size', async () => {
  const policy = policyOf();
  const said = await refused(e, policy);
  expect(said).toContain('CREATE INDEX CONCURRENTLY ON "public"."messages" ("talk", "sent_at");');
  expect(said).toContain('BEFORE UPDATE OF "sent_at" ON "public"."messages"');
  expect(await follow(e, policy)).toEqual([]);
  await filled();
  const dry = await e.run(policy, { dryRun: true });
  expect(dry.preview).toMatchObject({ expired: 3, complete: true, dependants: { 'public.messages': 4 } });
  const run = await e.run(policy, { batchSize: 2 });
  expect(run).toMatchObject({ outcome: 'succeeded', deleted: 3, kept: { not_expired: 5 } });
  expect(await ids()).toEqual(STAYING);
  expect((await named(e)).filter((x) => x.startsWith('public.talks'))).toEqual(
    GOING.map((id) => `public.talks ${id}`),
  );
  const why = async (id: number) =>
    (await explainRow({ ...e.services, policies: [policy] }, 'public.talks', String(id))).here[0];
  expect(await why(2)).toMatchObject({
    status: 'not_expired',
    clock: expect.stringContaining(YOUNG.slice(0, 10)),
  });
  expect(await why(9)).toMatchObject({ status: 'not_expired' });
  for (const id of [4, 5, 10]) expect(await why(id)).toMatchObject({ status: 'no_clock', expiresAt: null });
  // 4, 5 and 10 have no date.
  const found = await measurePolicy(e.services, policyOf({ quality: { emptyClocks: null } }), { now: NOW });
  expect(found.find((m) => m.measure === 'completeness')).toMatchObject({ found: 3 });
});

const MASK = { kind: 'mask' as const, mark: 'masked_at', columns: [{ column: 'title', to: null }] };
const SHAPES: readonly (readonly [string, Partial<PolicyInput>])[] = [
  ['that go along', {}],
  ['that stay and lose their reference', { dependants: [{ ...GOES, fate: 'set-null' }] }],
  ['that stay as their foreign key says', { dependants: [{ ...GOES, fate: 'keep' }] }],
  ['of talks that stay, masked', { dependants: [], strategy: MASK }],
];

/** As the preflight asks for it. */
async function readied(policy: Policy): Promise<Policy> {
  await e.db.sql(`alter table talks add masked_at timestamptz, add title text;
    create function waits(talk int) returns boolean language plpgsql as $$ begin
      if talk = 1 then perform pg_advisory_xact_lock_shared(4242); end if; return true; end $$`);
  if (policy.dependants.some((d) => d.fate !== 'delete'))
    await e.db.sql(
      'alter table messages drop constraint messages_talk_fkey, add foreign key (talk) references talks on delete set null',
    );
  expect(await follow(e, policy)).toEqual([]);
  await filled();
  return policy;
}

const talksNamed = async () => (await named(e)).filter((x) => x.startsWith('public.talks'));

it.each(SHAPES)(
  'counts by any kind of clock, under rules and a condition, of messages %s',
  async (_, changes) => {
    await e.db.sql('alter table messages add at bigint; alter table talks add begun date');
    const policy = await readied(
      policyOf({
        clock: {
          column: 'begun',
          type: 'date',
          orLaterIn: [MESSAGES, { ...MESSAGES, column: 'at', type: 'epoch', unit: 'milliseconds' }],
        },
        rules: [{ label: 'done', keepFor: days(30), match: { state: 'done' } }],
        where: 't.folder is null',
        ...changes,
      }),
    );
    await e.db.sql(`update talks set begun = begun_at::date, state = case when id <> 7 then 'done' end`);
    await e.db.sql('update messages set at = extract(epoch from $1::timestamptz) * 1000', [OLD]);
    expect(await e.run(policy, { batchSize: 1 })).toMatchObject({ outcome: 'succeeded', deleted: 2 });
    expect(await talksNamed()).toEqual(['public.talks 1', 'public.talks 3']);
  },
);

it('is walked organization by organization, each with its own period', async () => {
  await e.db.sql(`create table orgs (id int primary key, plan text); insert into orgs values (1, 'free'), (2, 'pro'); grant select on orgs to lapse_app;
    alter table talks add org int not null default 1`);
  const policy = await readied(
    policyOf({
      tenants: {
        column: 'org',
        table: { name: 'orgs' },
        key: { column: 'id', type: 'integer' },
        label: 'o.plan',
      },
      rules: [
        { label: 'free', keepFor: days(30) },
        { label: 'pro', keepFor: days(20) },
      ],
    }),
  );
  await e.db.sql('update talks set org = 2 where id in (2, 3, 4)');
  expect(await e.run(policy, { batchSize: 2 })).toMatchObject({ outcome: 'succeeded', deleted: 4 });
  expect(await talksNamed()).toEqual([1, 2, 3, 7].map((id) => `public.talks ${id}`));
});

/** A run whose first batch is sent while another session has written, and not committed. */
async function whileUncommitted(policy: Policy, write: string) {
  const inner = e.services.database;
  let isFirst = true;
  const database: Database = {
    async transaction(statements, options) {
      if (!isFirst || !statements.some((s) => s.text.includes('enter_batch(')))
        return inner.transaction(statements, options);
      isFirst = false;
      const other = await e.db.session();
      await other.sql('begin');
      await other.sql(write);
      try {
        return await inner.transaction(statements, options);
      } finally {
        await other.sql('commit');
        other.end();
      }
    },
  };
  return runPolicy({ ...e.services, database }, policy, runRequest(NOW));
}

it.each([
  ['a message is written', `insert into messages (talk, sent_at) select id, '${YOUNG}' from talks`],
  ['the date of one is moved', `update messages set sent_at = '${YOUNG}'`],
  ['one is moved to another talk', 'update messages set talk = 1 where id = 3'],
])('keeps a talk while %s, and afterwards', async (_, write) => {
  const policy = await readied(policyOf());
  // 3 has no message to move.
  if (write.startsWith('update messages set sent')) await e.db.sql('delete from talks where id = 3');
  const result = await whileUncommitted(policy, write);
  const goes = write.includes('set talk') ? ['public.talks 2', 'public.talks 3', 'public.talks 7'] : [];
  expect(result).toMatchObject({ outcome: 'succeeded', deleted: goes.length });
  expect(await talksNamed()).toEqual(goes);
});

it.each([
  `insert into messages (talk, sent_at) select id, '${YOUNG}' from talks`,
  `update messages set sent_at = '${YOUNG}'`,
  'update messages set talk = 1 where id = 3',
])('without a foreign key, too, it never misses what is under way: %s', async (write) => {
  await e.db.sql('alter table messages drop constraint messages_talk_fkey');
  const policy = await readied(policyOf({ dependants: [] }));
  await e.db.sql('delete from talks where id = 3');
  const goes = write.includes('set talk') ? ['public.talks 2', 'public.talks 7'] : [];
  expect(await whileUncommitted(policy, write)).toMatchObject({ outcome: 'succeeded', deleted: goes.length });
  expect(await talksNamed()).toEqual(goes);
});

/** A run that waits within the statement that locks talk 1, behind its snapshot, until another session has written and committed. */
async function behindTheSnapshot(policy: Policy, write: string) {
  const app = await e.db.session();
  await app.sql('select pg_advisory_lock(4242)');
  const running = e.run(policy);
  await untilWaiting(e.db, advisory(4242), running);
  await app.sql(write);
  await app.sql('select pg_advisory_unlock(4242)');
  const result = await running;
  app.end();
  return result;
}

it.each(SHAPES)(
  'keeps a talk for which a message is written behind the look at it, of messages %s',
  async (_, changes) => {
    const policy = await readied(policyOf({ where: 'waits(t.id)', judgedBy: [], ...changes }));
    const result = await behindTheSnapshot(
      policy,
      `insert into messages (talk, sent_at) values (1, '${YOUNG}')`,
    );
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 2 });
    expect(await talksNamed()).toEqual(['public.talks 3', 'public.talks 7']);
    expect(await e.db.sql('select 1 from messages where talk = 1')).toHaveLength(2);
  },
);

it('keeps a talk to which somebody under a hold writes behind the look at it, however old the message says it is', async () => {
  await e.db.sql('alter table messages add author text');
  const dependants = [{ ...GOES, fate: 'set-null' as const, scope: { user: 'author' } }];
  const policy = await readied(policyOf({ where: 'waits(t.id)', judgedBy: [], dependants }));
  await e.db.sql(
    `insert into retention.hold (scope, subject, reason, placed_by) values ('user', 'ada', 'case 7', 'tests')`,
  );
  const write = `insert into messages (talk, sent_at, author) values (1, '${OLD}', 'ada')`;
  expect(await behindTheSnapshot(policy, write)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  expect(await talksNamed()).toEqual(['public.talks 3', 'public.talks 7']);
});

it('is told to people as what it is: in words, on which day it comes up, how late it is, what another period changes', async () => {
  const policy = await readied(policyOf());
  expect(clockInWords(policy.clock)).toBe('the latest of begun_at, sent_at of messages');
  const services = { ...e.services, policies: [policy] };
  const [entry] = await calendar(services, { policies: [policy], days: 3, inTime: () => true });
  // What is due, on the first of its days; 2, 8 and 9, whose dates are young, on that after tomorrow.
  expect(entry?.days.map((d) => d.rows)).toEqual([3, 3]);
  await e.db.sql('insert into talks (id, begun_at) values (11, $1), (12, $1)', [ago(40 * DAY)]);
  await e.db.sql('insert into messages (talk, sent_at) values (11, $1), (9, $2), (12, $3)', [
    ago(35 * DAY),
    ago(29.5 * DAY),
    OLD,
  ]);
  await e.db.sql('update talks set begun_at = $1 where id = 9', [OLD]);
  const [late] = await ask(
    services.database,
    { late: measure(policy, legsOf(policy, NOW), NOW.toISOString())! },
    { statementMs: 10_000 },
  ).then((x) => x.late);
  // Not 40 days back, as the talk itself says; and 9 goes within a day.
  expect(late).toEqual({ plan: 'all', waiting: 5, arriving: 1, seconds: 5 * DAY });
  const counting = {
    reading: asking(services.database),
    inTime: () => true,
    coolingSeconds: 0,
    mostRows: 1_000,
  };
  const longer = policyOf({ rules: [{ label: 'all', keepFor: days(33) }] });
  // 11 is taken by both; of 12, which is as old, only its message decides.
  expect(await countExcept(policy, longer, NOW, counting)).toMatchObject({ rows: 4, complete: true });
});

it('is refused where a change could be missed, or not be seen at all', async () => {
  const said = async (changes: Partial<PolicyInput> = {}) =>
    (await fitsDatabase(e, policyOf(changes))).map((p) => `${p.problem}: ${p.remedy}`).join('\n');
  const of = (more: object): Partial<PolicyInput> => ({
    clock: { column: 'begun_at', type: 'timestamptz', orLaterIn: [{ ...MESSAGES, ...more } as never] },
  });
  expect(await said(of({ table: { name: 'nothing' } }))).toContain('there is no table public.nothing');
  expect(await said(of({ column: 'gone' }))).toContain('column "gone" of "public"."messages" does not exist');
  expect(await said(of({ column: 'body' }))).toContain('keep the latest date in a column of the row');
  expect(await said(of({ references: ['body'] }))).toContain('correct references in clock.orLaterIn');
  expect(await said(of({ type: 'date' }))).toContain('correct clock.orLaterIn.0.type');
  // Without a foreign key each write waits.
  await e.db.sql('alter table messages drop constraint messages_talk_fkey');
  expect(await said({ dependants: [] })).toContain(
    'BEFORE INSERT OR UPDATE OF "sent_at", "talk" ON "public"."messages"',
  );
  // A trigger on single columns does not see what another one writes.
  await e.db.sql(`create function touch() returns trigger language plpgsql as $$ begin new.sent_at := now(); return new; end $$;
    create trigger touch before update on messages for each row execute function touch()`);
  expect(await said({ dependants: [] })).toContain('BEFORE INSERT OR UPDATE ON "public"."messages"');
  expect(await follow(e, policyOf({ dependants: [] }))).toEqual([]);
  await e.db.sql('create table more () inherits (messages)');
  expect(await said()).toContain('has inheriting tables: keep the latest date');
  await e.db.sql('drop table more; alter table messages enable row level security');
  expect(await said()).toContain('has row-level security: keep the latest date');
  await e.db.sql('create view seen as select * from messages; grant select on seen to lapse_app');
  expect(await said(of({ table: { name: 'seen' } }))).toContain('is not a plain table');
});

it('is refused at once where its declaration says two things', () => {
  const at = { column: 'begun_at', type: 'timestamptz' } as const;
  const clock = (more: object) => () =>
    policyOf({ clock: { ...at, orLaterIn: [{ ...MESSAGES, ...more } as never] } });
  expect(clock({ refersTo: ['id', 'folder'] })).toThrow('as many columns');
  expect(clock({ type: 'date', zone: 'Nowhere/At_All' })).toThrow('clock.orLaterIn.0.zone');
  expect(() =>
    policyOf({
      clock: { ...at, orLaterIn: [MESSAGES], in: { table: { name: 'x' }, references: ['id'], key: ['id'] } },
    }),
  ).toThrow('one column of it');
  expect(() => policyOf({ clock: { ...at, orLaterIn: [MESSAGES] }, partitioned: { by: 'other' } })).toThrow(
    'not together with partitioned',
  );
});
