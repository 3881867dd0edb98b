/** An index of a partitioned table, by what the refusals print: built without stopping writers, and whole in the end. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { indexStatement } from '@/lib/platform/index-statement';
import type { PolicyInput } from '@/lib/policies/contract';
import { type Engine, engine, fitsDatabase, thingsPolicy } from '../../support/engine';
import { follow } from '../../support/preflight';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const NESTED = `create table things (id int not null, region text not null, at timestamptz, made timestamptz, note text, file text, primary key (id, region)) partition by list (region);
  create table eu partition of things for values in ('eu') partition by hash (id);
  create table eu_0 partition of eu for values with (modulus 2, remainder 0);
  create schema "F;ar"; create table "F;ar"."eu 1" partition of eu for values with (modulus 2, remainder 1);
  create table us partition of things for values in ('us')`;
const policyOf = (changes: Partial<PolicyInput> = {}) =>
  thingsPolicy({
    key: [
      { column: 'id', type: 'integer' },
      { column: 'region', type: 'text', personal: false },
    ],
    scope: {},
    partitioned: { by: 'other' },
    ...changes,
  });

const statements = async (columns: string, isUnique = false): Promise<string[]> => {
  const printed = indexStatement({
    table: { schema: 'public', name: 'things' },
    isPartitioned: true,
    columns,
    isUnique,
  });
  const rows = await e.db.sql(printed.slice(0, printed.indexOf(';')));
  return rows.map((r) => String(r.index_statements));
};
/** Of the root and every part, whether its index on these columns is whole. */
const valid = (columns: string) =>
  e.db.sql(
    `select c.relname as name, i.indisvalid as valid, exists (select 1 from pg_inherits h where h.inhrelid = i.indexrelid) as hangs
     from pg_index i join pg_class c on c.oid = i.indrelid where pg_get_indexdef(i.indexrelid) like '%(' || $1 || ')' order by c.relname`,
    [columns],
  );

describe('the statements that make an index of a partitioned table', () => {
  it('build no part of it but concurrently, and leave one valid index of all parts', async () => {
    await e.db.sql(NESTED);
    const printed = await statements('"note", "id"');
    expect(printed.filter((s) => /^CREATE INDEX CONCURRENTLY /.test(s))).toHaveLength(3);
    expect(printed.filter((s) => /^CREATE INDEX "?\w+"? ON ONLY /.test(s))).toHaveLength(2);
    expect(printed.filter((s) => /^SELECT retention\.attach_index\(/.test(s))).toHaveLength(4);
    expect(printed).toHaveLength(9);
    for (const s of printed) await e.db.sql(s);
    expect(await valid('note, id')).toEqual(
      ['eu', 'eu 1', 'eu_0', 'things', 'us'].map((name) => ({ name, valid: true, hangs: name !== 'things' })),
    );
    expect(await statements('"note", "id"')).toEqual([]);
  });

  it('are those that are missing, wherever they were interrupted', async () => {
    await e.db.sql(NESTED);
    const all = await statements('"note"');
    for (const [i, s] of all.entries()) {
      expect(await statements('"note"')).toEqual(all.slice(i));
      await e.db.sql(s);
    }
    expect((await valid('note')).map((x) => x.valid)).toEqual(Array(5).fill(true));
  });

  it('take what a part has already', async () => {
    await e.db.sql(`${NESTED}; create index own on us (note, region)`);
    const all = await statements('"note", "region"');
    expect(all.join('\n')).not.toMatch(/CONCURRENTLY \S+ ON public\.us/);
    for (const s of all) await e.db.sql(s);
    expect((await valid('note, region')).map((x) => x.valid)).toEqual(Array(5).fill(true));
  });

  it('drop first what a build that failed has left', async () => {
    await e.db.sql(`create table things (id int, region text not null, note text) partition by list (region);
      create table us partition of things for values in ('us');
      insert into things values (1, 'us', 'same'), (2, 'us', 'same')`);
    const failing: string[] = [];
    for (const s of await statements('"region", "note"', true))
      await e.db.sql(s).catch(() => failing.push(s));
    expect(failing[0]).toMatch(/^CREATE UNIQUE INDEX CONCURRENTLY/);
    expect(failing[1]).toMatch(/^SELECT retention\.attach_index\(/);
    expect(failing).toHaveLength(2);
    await e.db.sql('update things set note = id::text');
    const again = await statements('"region", "note"', true);
    expect(again[0]).toMatch(/^DROP INDEX CONCURRENTLY /);
    for (const s of again) await e.db.sql(s);
    expect((await valid('region, note')).map((x) => x.valid)).toEqual(Array(2).fill(true));
  });

  it('are refused of a table that is not there', async () => {
    await expect(e.db.sql(`select retention.index_statements('public.nowhere', 'a')`)).rejects.toThrow(
      'there is no table public.nowhere',
    );
  });
});

describe('a refusal of a partitioned table prints an index that can be made', () => {
  it.each([
    ['by the clock', {}],
    [
      'by a clock of two columns',
      { clock: { column: 'at', otherwise: ['made'], type: 'timestamptz' as const } },
    ],
    ['on a group that keeps its newest rows', { keepAtLeast: { newest: 2, per: ['region'] } }],
    ['on names of files', { files: [{ column: 'file', fate: 'delete' as const, prefix: 'f/' }] }],
  ] as const)('%s', async (_, changes) => {
    await e.db.sql(NESTED);
    const policy = policyOf(changes as Partial<PolicyInput>);
    expect(await follow(e, policy)).toEqual([]);
  });

  it('on a reference, one line for many partitions and a line each for a few', async () => {
    await e.db.sql(`create table things (id int primary key, at timestamptz);
      create table notes (id int, region int, thing int references things on delete cascade, primary key (id, region)) partition by list (region)`);
    for (const n of [1, 2, 3, 4, 5])
      await e.db.sql(`create table notes_${n} partition of notes for values in (${n})`);
    const policy = thingsPolicy({
      key: [{ column: 'id', type: 'integer' }],
      scope: {},
      dependants: [
        {
          table: { name: 'notes' },
          key: [
            { column: 'id', type: 'integer' },
            { column: 'region', type: 'integer' },
          ],
          references: ['thing'],
          fate: 'delete',
        },
      ],
    });
    const indexes = async () =>
      (await fitsDatabase(e, policy))
        .map((p) => p.remedy)
        .filter((r) => /index/i.test(r) && r.includes('notes'));
    expect(await indexes()).toEqual([
      `SELECT retention.index_statements('"public"."notes"', '"thing"'); and each statement it answers, one after the other (in psql: \\gexec)`,
    ]);
    for (const n of [1, 2, 3]) await e.db.sql(`create index on notes_${n} (thing)`);
    expect((await indexes()).sort()).toEqual(
      [4, 5].map((n) => `CREATE INDEX CONCURRENTLY ON "public"."notes_${n}" ("thing");`),
    );
    expect(await follow(e, policy)).toEqual([]);
  });
});
