/**
 * What each statement of a batch of a tree reads, by the database's own count of its transaction: rows and entries of every table
 * and index, also in functions and by foreign keys. However large the levels are, it is a few for each row that is looked at.
 * `TREE_ROWS=1000000 npx vitest run test/engine/statement/tree-plans.test.ts` shows it with a million rows a level.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import type { Database, Row, Statement } from '@/lib/platform/database';
import type { Policy } from '@/lib/policies/contract';
import { ago, DAY, type Engine, engine, NOW, protect, runRequest } from '../../support/engine';
import { on, planted, treePolicy } from '../../support/tree';

/** Rows a level. */
const ROWS = Number(process.env.TREE_ROWS ?? 20_000);
const LIMIT = 50;
/** A document has two notes and four pages: 350 rows a batch, each found by an index or two, and asked for several things. */
const MOST = 3_500;
/** What of the planner's statistics there is: none, or all. */
const ANALYZED = [
  ['never analyzed', null],
  ['analyzed', 'analyze'],
] as const;

let e: Engine;
beforeAll(async () => {
  e = await engine();
  await planted(
    e,
    `create table doc (id int primary key, at timestamptz, org text not null);
    create table note (id int primary key, doc int not null, at timestamptz, org text not null);
    create table page (id int primary key, note int not null, org text not null);
    create table pin (id int primary key, page int not null);
    create table bag (id int primary key, at timestamptz);
    create table item (id int primary key, bag int not null);
    create table label (id int primary key, item int not null);
    insert into doc select n, timestamptz '${ago(40 * DAY)}' - make_interval(secs => ${ROWS} - n), 'org' || n % 1000 from generate_series(1, ${ROWS}) n;
    insert into note select n, 1 + (n::bigint * 7919) % ${ROWS / 2}, timestamptz '${ago(40 * DAY)}' - make_interval(secs => ${ROWS} - n), 'org' || n % 1000
      from generate_series(1, ${ROWS}) n;
    insert into page select n, 1 + (n::bigint * 7919) % ${ROWS / 2}, 'org' || n % 1000 from generate_series(1, ${ROWS}) n;
    insert into pin select n, n from generate_series(1, ${ROWS}) n where n % 7 = 0;
    insert into bag values (1, '${ago(99 * DAY)}');
    insert into item select n, 1 from generate_series(1, ${ROWS}) n;
    create index on doc (org, at, id);
    create index on note (at, id);
    create index on bag (at, id);
    alter table note add foreign key (doc) references doc on delete cascade;
    alter table page add foreign key (note) references note on delete cascade;
    alter table pin add foreign key (page) references page;
    alter table item add foreign key (bag) references bag on delete cascade;
    alter table label add foreign key (item) references item on delete cascade`,
  );
}, 300_000);
afterAll(() => e?.stop());
afterEach(async () => {
  await e.db.sql(
    `update retention.hold set released_at = now(), released_by = 'another', release_reason = 'over' where released_at is null`,
  );
  await e.db.sql('delete from retention.extension');
});

/** Of each table and its indexes, since the session began: what was read of them, and how often the table from end to end. */
const COUNTERS: Statement = {
  text: `select coalesce(t.relname, c.relname) as of,
      sum(pg_stat_get_xact_tuples_returned(c.oid) + pg_stat_get_xact_tuples_fetched(c.oid))::float8 as read,
      sum(case when c.relkind = 'r' then pg_stat_get_xact_numscans(c.oid) else 0 end)::float8 as whole
    from pg_class c left join pg_index i on i.indexrelid = c.oid left join pg_class t on t.oid = i.indrelid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'i') group by 1 order by 1`,
  params: [],
};
const figures = (rows: readonly Row[]) =>
  rows.map((r) => ({ of: String(r.of), read: Number(r.read), whole: Number(r.whole) }));

interface Seen {
  readonly text: string;
  readonly of: string;
  readonly read: number;
  readonly whole: number;
}

/** Runs the first batches of a policy, and says of each of their statements what it read of each table. */
async function watched(policy: Policy, batches: number): Promise<Seen[]> {
  await protect(e.db, policy);
  const seen: Seen[] = [];
  let n = 0;
  const { database } = e.services;
  const watching: Database = {
    async transaction(statements, options) {
      if (!statements.some((s) => s.text.includes('enter_batch')))
        return database.transaction(statements, options);
      n += 1;
      const answers = await database.transaction(
        statements.flatMap((s) => [s, COUNTERS]),
        options,
      );
      const counted = answers.filter((_, i) => i % 2 === 1).map(figures);
      counted.slice(1).forEach((after, i) => {
        for (const [k, { of, read, whole }] of after.entries()) {
          const before = counted[i]![k]!;
          seen.push({
            text: statements[i + 1]!.text,
            of,
            read: read - before.read,
            whole: whole - before.whole,
          });
        }
      });
      return answers.filter((_, i) => i % 2 === 0);
    },
  };
  // Its time is over behind so many.
  const clock = () => new Date(NOW.getTime() + (n < batches ? 0 : 600_000));
  const run = await runPolicy(
    { ...e.services, database: watching, clock },
    policy,
    runRequest(NOW, { batchSize: LIMIT }),
  );
  expect(run.outcome, run.message).toBe('interrupted');
  expect(n).toBeGreaterThanOrEqual(batches);
  return seen;
}

/** The same, each within bounds. Returns which tables were read, and the statements. */
async function readsFew(
  policy: Policy,
  batches = 3,
): Promise<{ tables: string[]; isTrusted: boolean; isTakenApart: boolean }> {
  const seen = await watched(policy, batches);
  const most = seen.filter((s) => s.whole > 0 || s.read > MOST);
  expect(most.map((s) => ({ ...s, text: `${s.text.slice(0, 100)} … ${s.text.slice(-100)}` }))).toEqual([]);
  return {
    tables: [...new Set(seen.filter((s) => s.read > 0).map((s) => s.of))],
    isTrusted: seen.some((s) => s.text.includes('refuse_more(')),
    isTakenApart: seen.some((s) => s.text.includes('take_apart(')),
  };
}

const scope = { organization: 'org' };
const chain = [on('note', null, 'doc', { scope }), on('page', 'note', 'note', { scope })];
const pinned = [...chain, on('pin', 'page', 'page', { fate: 'block' })];
const documents = (more: Parameters<typeof treePolicy>[1] = {}) => treePolicy(pinned, { scope, ...more });
const ALL = ['doc', 'note', 'page', 'pin'];

describe.each(ANALYZED)('%s', (_, analyze) => {
  beforeAll(async () => {
    if (analyze) await e.db.sql(analyze);
  }, 120_000);

  it('reads by index what hangs on the rows of a batch, counted first or not', async () => {
    const { tables, isTrusted } = await readsFew(documents());
    expect(tables).toEqual(ALL);
    expect(isTrusted).toBe(true);
  }, 120_000);

  it('reads few more where holds, extensions and dead letters are asked about at every level', async () => {
    await e.db.sql(
      `insert into retention.hold (scope, subject, reason, placed_by) select 'organization', 'org' || n, 'case', 'counsel' from generate_series(1, 300) n`,
    );
    await e.db.sql(
      `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by)
       select 'public.note', n::text, '${ago(-99 * DAY)}', 'asked', 'support' from generate_series(1, 300) n on conflict do nothing`,
    );
    await e.db.sql(
      `insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at)
       select 'pages', 'public.page', n::text, '23503', '${ago(-99 * DAY)}' from generate_series(1, 300) n on conflict do nothing`,
    );
    const { tables } = await readsFew(documents());
    expect(tables).toEqual(ALL);
  }, 120_000);

  it('reads few rows of a group of which the newest stay', async () => {
    const { tables } = await readsFew(documents({ keepAtLeast: { newest: 3, per: ['org'] } }));
    expect(tables).toEqual(ALL);
  }, 120_000);

  it('reads by index what hangs directly on the rows of a batch', async () => {
    const pages = [on('page', null, 'note', { scope }), on('pin', 'page', 'page', { fate: 'block' })];
    const { tables } = await readsFew(treePolicy(pages, { name: 'notes', table: { name: 'note' }, scope }));
    expect(tables).toEqual(['note', 'page', 'pin']);
  }, 120_000);

  it('reads as many rows as a batch takes of one that has a whole level below it', async () => {
    const items = [on('item', null, 'bag'), on('label', 'item', 'item')];
    const { isTakenApart } = await readsFew(treePolicy(items, { name: 'bags', table: { name: 'bag' } }));
    expect(isTakenApart).toBe(true);
  }, 120_000);
});
