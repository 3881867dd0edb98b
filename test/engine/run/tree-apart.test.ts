/** A row with more below it than a batch takes goes from below, over several batches, whatever happens meanwhile: what is gone is receipted, and nothing else is. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { OPEN, pausing, SHUT, WAITS } from '@/lib/dev/proof/levels/pause';
import { runPolicy } from '@/lib/engine/run/run';
import type { Database } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import type { Policy } from '@/lib/policies/contract';
import { type Engine, engine, NOW, protect, runRequest } from '../../support/engine';
import { named } from '../../support/preflight';
import { FRESH, OLD, on, planted, present, treePolicy } from '../../support/tree';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const LEVELS = ['doc', 'note', 'version'];
const FILES = [{ column: 'path', fate: 'delete' as const, prefix: 'f/' }];
const OWN = { files: FILES, scope: { user: 'person' } };
const batchSize = 2;

/** Documents 1 and 2 are old, 3 is young: each has two notes with thirty versions each, and each row a file. */
async function deep(): Promise<Policy> {
  await planted(
    e,
    `create table doc (id int primary key, at timestamptz, path text, person text);
    create table note (id int primary key, doc int references doc on delete cascade, path text, person text);
    create table version (id int primary key, note int references note, path text, person text);
    insert into doc select i, case i when 3 then '${FRESH}'::timestamptz else '${OLD}' end from generate_series(1, 3) i;
    insert into note select 10 * i + n, i from generate_series(1, 3) i, generate_series(1, 2) n;
    insert into version select 1000 * i + 100 * n + v, 10 * i + n from generate_series(1, 3) i, generate_series(1, 2) n, generate_series(1, 30) v;
    ${LEVELS.map((t) => `update ${t} set path = 'f/${t}-' || id, person = '${t}-' || id; create index on ${t} (retention.blob_path(path));`).join(' ')}`,
  );
  const policy = treePolicy([on('note', null, 'doc', OWN), on('version', 'note', 'note', OWN)], OWN);
  await protect(e.db, policy);
  return policy;
}

const rowsOf = (i: number): string[] => [
  `public.doc ${i}`,
  ...[1, 2].map((n) => `public.note ${10 * i + n}`),
  ...[1, 2].flatMap((n) =>
    Array.from({ length: 30 }, (_, v) => `public.version ${1000 * i + 100 * n + v + 1}`),
  ),
];

/** Every row is there, or named once and its file with it. */
async function expectReceipted(...old: number[]): Promise<string[]> {
  const gone = await named(e);
  expect(new Set(gone).size).toBe(gone.length);
  const all = [...gone, ...(await present(e, ...LEVELS))].sort();
  expect(all).toEqual([1, 2, 3].flatMap(rowsOf).sort());
  for (const id of gone) expect(old.flatMap(rowsOf)).toContain(id);
  const files = await e.db.sql(`select table_name || ' ' || row_key as row from retention.outbox`);
  expect(files.map((f) => String(f.row)).sort()).toEqual([...gone].sort());
  return gone;
}

it('with files of every level, each once in the outbox', async () => {
  const policy = await deep();
  const run = await e.run(policy, { batchSize });
  expect(run).toMatchObject({ outcome: 'succeeded', deleted: 2, dependantsDeleted: 124, filesQueued: 126 });
  expect(run.batches).toBeGreaterThan(3);
  expect(await expectReceipted(1, 2)).toHaveLength(126);
});

it('around a row that refuses: it and what it hangs on stay, as a dead letter that the next runs step over', async () => {
  await deep();
  await e.db.sql(`create function refuse() returns trigger language plpgsql as $$ begin
      if old.id = 1107 then raise exception 'no' using errcode = 'P0001'; end if; return old; end $$;
    create trigger refuse before delete on version for each row execute function refuse()`);
  const declared = treePolicy(
    [on('note', null, 'doc', OWN), on('version', 'note', 'note', { ...OWN, knownTriggers: ['refuse'] })],
    OWN,
  );
  const run = await e.run(declared, { batchSize });
  expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  const gone = await expectReceipted(1, 2);
  expect(gone).toEqual(expect.arrayContaining(rowsOf(2)));
  for (const id of ['public.doc 1', 'public.note 11', 'public.version 1107']) expect(gone).not.toContain(id);
  const letters = 'select table_name, row_key, attempts, state from retention.dead_letter';
  const [letter] = await e.db.sql(letters);
  expect(letter).toMatchObject({ table_name: 'public.doc', row_key: '1', state: 'open' });
  // It waits for its own next attempt, and no run looks below it until then.
  const again = await e.run(declared, { batchSize });
  expect(again).toMatchObject({
    outcome: 'succeeded',
    deleted: 0,
    dependantsDeleted: 0,
    kept: { dead_letter: 1 },
  });
  expect(await e.db.sql(letters)).toEqual([letter]);
  expect(again.requests.postgres).toBeLessThan(12);
});

it('until a hold is placed between two batches: what is gone stays gone and is receipted, the rest stays, and says so', async () => {
  const policy = await deep();
  let batches = 0;
  const database: Database = {
    async transaction(statements, options) {
      if (statements.some((s) => s.text.includes('retention.confirm_batch'))) batches += 1;
      if (batches === 3)
        await e.db.sql(
          "insert into retention.hold (scope, subject, reason, placed_by) select 'user', 'version-1230', 'case', 'alice' where not exists (select 1 from retention.hold)",
        );
      return e.services.database.transaction(statements, options);
    },
  };
  const run = await runPolicy({ ...e.services, database }, policy, runRequest(NOW, { batchSize }));
  expect(run).toMatchObject({ outcome: 'succeeded', deleted: 1, kept: { held: 1 } });
  expect(run.keptBelow).toEqual({ held: { 'public.version': 1 } });
  const gone = await expectReceipted(1, 2);
  const ofFirst = gone.filter((id) => rowsOf(1).includes(id));
  expect(ofFirst.length).toBeGreaterThan(5);
  expect(ofFirst.every((id) => id.startsWith('public.version'))).toBe(true);
  expect(await present(e, 'version')).toContain('public.version 1230');
  await e.db.sql('delete from retention.hold');
  expect(await e.run(policy, { batchSize })).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  expect(await expectReceipted(1, 2)).toHaveLength(126);
});

/** A document with a chain of so many replies, each to the one before it. */
async function chain(rows: number): Promise<Policy> {
  await planted(
    e,
    `create table doc (id int primary key, at timestamptz);
    create table reply (id int primary key, doc int references doc, answers int references reply, note text);
    insert into doc values (1, '${OLD}'), (2, '${FRESH}');
    insert into reply select i, case i when 1 then 1 end, nullif(i - 1, 0) from generate_series(1, ${rows}) i;
    insert into reply values (0, 2, null)`,
  );
  const policy = treePolicy([on('reply', null, 'doc'), on('reply', 'reply', 'answers')]);
  await protect(e.db, policy);
  return policy;
}

it('though it is a chain that is far deeper than a batch: from its end, piece by piece', async () => {
  const run = await e.run(await chain(2_400), { batchSize: 10 });
  expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 2_400 });
  const receipts = await e.db.sql(
    'select dependants_deleted::int as n, dependants from retention.receipt order by seq',
  );
  for (const r of receipts) expect(Number(r.n)).toBeLessThanOrEqual(100);
  // The end first, and none before those that answer it.
  const ends = receipts.map((r) => (r.dependants as Record<string, string[]>)['public.reply']!.map(Number));
  const order = ends.filter((ids) => ids.length > 0).map((ids) => Math.min(...ids));
  expect(order).toEqual([...order].sort((a, b) => b - a));
  expect(await present(e, 'doc', 'reply')).toEqual(['public.doc 2', 'public.reply 0']);
});

it('though others write to the chain while its end is looked for', async () => {
  const policy = await chain(900);
  let batches = 0;
  const database: Database = {
    async transaction(statements, options) {
      if (statements.some((s) => s.text.includes('retention.confirm_batch'))) {
        batches += 1;
        const last = Number((await e.db.sql('select max(id) as id from reply'))[0]!.id);
        await e.db.sql(`update reply set note = 'seen' where id in (${last}, ${last - 300}, 1)`);
        // What is moved to the young document stays, with all below it.
        if (batches === 4) await e.db.sql('update reply set answers = 0 where id = 400');
      }
      return e.services.database.transaction(statements, options);
    },
  };
  const run = await runPolicy({ ...e.services, database }, policy, runRequest(NOW, { batchSize: 10 }));
  expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  const there = await present(e, 'reply');
  expect(there).toContain('public.reply 400');
  expect(there).not.toContain('public.reply 399');
  const gone = await named(e);
  expect(new Set(gone).size).toBe(gone.length);
  expect(gone.length + there.length).toBe(902);
  const cut = await e.db.sql(
    'select id from reply where id > 0 and answers <> 0 and answers not in (select id from reply)',
  );
  expect(cut).toEqual([]);
});

it('with every row of the chain locked once its end is found: none is moved away before the batch has ended', async () => {
  const policy = await chain(400);
  const [gate, app] = [await e.db.session(), await e.db.session()];
  await gate.sql(SHUT);
  const [{ pid } = {}] = await app.sql('select pg_backend_pid() as pid');
  let waited = false;
  const meanwhile = async () => {
    while ((await e.db.sql(WAITS))[0]?.yes !== true);
    let isDone = false;
    const moved = app.sql('update reply set answers = 0 where id = 250').finally(() => {
      isDone = true;
    });
    const blocked = `select cardinality(pg_blocking_pids(${pid})) > 0 as yes`;
    while (!isDone && !waited) waited = (await e.db.sql(blocked))[0]?.yes === true;
    await gate.sql(OPEN);
    return moved;
  };
  const database = pausing(e.services.database, {
    // The first finds that it is to be taken apart; the statement that deletes is the one behind the walk.
    ...{ batch: 1, statement: 4 },
    sent: () => {
      const moved = meanwhile();
      return { over: async () => void (await moved) };
    },
    counted: () => undefined,
  });
  const run = await runPolicy({ ...e.services, database }, policy, runRequest(NOW, { batchSize: 10 }));
  expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 349 });
  expect(waited).toBe(true);
  expect(await present(e, 'doc')).toEqual(['public.doc 2']);
});

it('and rows that go round in a circle larger than a batch all at once, after what hangs on them', async () => {
  const policy = await chain(300);
  // 101 to 250 answer one another in a circle, and 251 to 300 those; of 1 to 100 the first answers itself.
  await e.db.sql('update reply set answers = 250, doc = 1 where id = 101');
  await e.db.sql('update reply set answers = 1 where id = 1');
  const run = await e.run(policy, { batchSize: 10 });
  expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 300 });
  expect(await present(e, 'doc', 'reply')).toEqual(['public.doc 2', 'public.reply 0']);
  const receipts = await e.db.sql('select dependants from retention.receipt order by seq');
  const batches = receipts.map((r) =>
    (r.dependants as Record<string, string[]>)['public.reply']!.map(Number),
  );
  const of = (id: number) => batches.findIndex((ids) => ids.includes(id));
  const circle = Array.from({ length: 150 }, (_, i) => 101 + i);
  expect(new Set(circle.map(of)).size).toBe(1);
  for (const ids of batches) expect(ids.length).toBeLessThanOrEqual(150);
  expect(of(251)).toBeLessThan(of(101));
  expect(of(1)).toBeGreaterThanOrEqual(of(100));
  expect(await e.db.sql('select row_key from retention.dead_letter')).toEqual([]);
});

it('in one run, as the dry run says, though a row far above refers to itself', async () => {
  const policy = await chain(60);
  await e.db.sql('update reply set answers = 1 where id = 1');
  const dry = await e.run(policy, { dryRun: true });
  expect(dry.preview).toMatchObject({ expired: 1, dependants: { 'public.reply': 60 } });
  const run = await e.run(policy, { batchSize: 1 });
  expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 60 });
  expect(run.batches).toBeGreaterThan(5);
});

/** Which of `rows` rows go first, where `ways` are pairs of a row and one below it. */
async function fromBelow(rows: number, ways: readonly (readonly [number, number])[], most: number) {
  const sorted = [...ways].sort(([a], [b]) => a - b);
  const arrays = [0, 1].map((i) => `array[${sorted.map((w) => w[i]).join()}]::int[]`).join();
  const [answer] = await e.db.sql(`select retention.from_below(${rows}, 1, ${arrays}, ${most}) as going`);
  return answer!.going as number[];
}

it('in an order in which nothing goes before what is below it, and a circle only whole, whatever refers to whatever', async () => {
  for (let seed = 1; seed <= 120; seed += 1) {
    const random = rolls(seed);
    const rows = 1 + (seed % 12);
    // Each but the first is below one before it; then some more, in any direction.
    const ways = Array.from({ length: rows - 1 }, (_, i) => [1 + random(i + 1), i + 2] as const);
    for (let n = random(rows + 3); n > 0; n -= 1) ways.push([1 + random(rows), 1 + random(rows)]);
    const reach = (from: number): Set<number> => {
      const found = new Set([from]);
      for (const r of found) for (const [above, below] of ways) if (above === r) found.add(below);
      return found;
    };
    const most = 1 + random(rows);
    const going = await fromBelow(rows, ways, most);
    expect(going.length).toBeGreaterThan(0);
    expect(new Set(going).size).toBe(going.length);
    for (const r of going) for (const below of reach(r)) expect(going).toContain(below);
    // More than a batch only where that is one circle.
    if (going.length > most) for (const r of going) expect(reach(r)).toEqual(new Set(going));
  }
});

const rolls = (seed: number) => {
  let state = seed;
  return (below: number) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
};

it('but no circle of more rows than a receipt may name', async () => {
  const round = (rows: number) =>
    e.db.sql(`select cardinality(retention.from_below(${rows}, 1, array(select generate_series(1, ${rows})),
      array(select i % ${rows} + 1 from generate_series(1, ${rows}) i), 10)) as going`);
  expect(await round(40_000)).toEqual([{ going: 40_000 }]);
  await expect(round(40_001)).rejects.toMatchObject({ code: '54001' });
});

/** From the given request on nothing gets through any more, as for a killed process. */
function killed(database: Database, at: number, when: 'before' | 'after'): Database {
  let n = 0;
  const lost = () => new DatabaseError('unknown', null, 'no answer from the database (test)');
  return {
    async transaction(statements, options) {
      n += 1;
      if (n > at || (n === at && when === 'before')) throw lost();
      const rows = await database.transaction(statements, options);
      if (n === at) throw lost();
      return rows;
    },
  };
}

it.each(Array.from({ length: 9 }, (_, i) => i + 2))(
  'though the process is killed at request %i, before it was sent and after: called again, it ends as if undisturbed',
  async (at) => {
    const policy = await deep();
    for (const when of ['before', 'after'] as const) {
      await runPolicy({ ...e.services, database: killed(e.services.database, at, when) }, policy, {
        ...runRequest(NOW, { batchSize }),
        deadline: new Date(NOW.getTime() + 4_000),
      });
      await e.services.redis.eval(
        "return redis.call('del', KEYS[1])",
        [`${e.services.redis.prefix}things:lease`],
        [],
      );
      await expectReceipted(1, 2);
      // What is there refers to what is there.
      const orphans = `select id from version where note not in (select id from note)
        union all select id from note where doc not in (select id from doc)`;
      expect(await e.db.sql(orphans)).toEqual([]);
    }
    expect(await e.run(policy, { batchSize })).toMatchObject({ outcome: 'succeeded' });
    expect(await expectReceipted(1, 2)).toHaveLength(126);
    expect(await e.db.sql('select 1 from retention.run where finished_at is null')).toEqual([]);
  },
);
