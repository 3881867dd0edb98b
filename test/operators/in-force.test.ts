import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { everythingInForce, type Finding, inWords } from '@/lib/operators/in-force';
import type { Policy } from '@/lib/policies/contract';
import { govern, things } from '@/test/support/engine';
import { type Guarded, guarded } from '@/test/support/guarded';
import { keyed } from '@/test/support/keyed';
import { act, list, OPERATORS } from '@/test/support/operators';

let e: Guarded;
let policy: Policy;
beforeEach(async () => {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS });
  policy = await govern(e.db);
  e = { ...e, services: { ...e.services, policies: [policy] } };
});
afterEach(() => e.stop());

/** As versions before this one stored it: as typed. */
const typed = (scope: string, subject: string, table: string | null = null) =>
  e.db.sql(
    `insert into retention.hold (scope, subject, table_name, reason, placed_by) values ($1, $2, $3, 'old case', 'alice')`,
    [scope, subject, table],
  );
const all = async (): Promise<Finding[]> => {
  const found: Finding[] = [];
  for await (const f of everythingInForce(e.services)) found.push(f);
  return found;
};

it('a hold in a spelling that never matched is named with the one that does, and left unchanged', async () => {
  const [org, person, , untouched] = await things(e.db, [1, 2, 3, 4]);
  await e.db.sql('update things set org = id, person = id');
  await typed('organization', org!.toUpperCase());
  await typed('user', person!.replaceAll('-', ''));
  await typed('item', untouched!, 'public.things');
  await typed('item', randomUUID(), 'public.things');
  await typed('item', 'x', 'public.gone');
  const before = await e.db.sql('select * from retention.hold order by id');
  const { entries } = (await list(e.services, '?list=holds')).body as { entries: Record<string, unknown>[] };
  const of = (subject: string) => entries.find((h) => h.subject === subject);
  expect(of(org!.toUpperCase())).toMatchObject({
    matches: 'misspelled',
    printedAs: [org],
    covers: [{ rows: 0 }],
  });
  expect(of(person!.replaceAll('-', ''))).toMatchObject({ matches: 'misspelled', printedAs: [person] });
  expect(of(untouched!)).toMatchObject({ matches: 'some', covers: [{ policy: 'things', rows: 1 }] });
  expect(of('x')).toMatchObject({ matches: 'none', covers: [] });
  expect((await all()).map((f) => f.matches).sort()).toEqual([
    'misspelled',
    'misspelled',
    'none',
    'none',
    'some',
  ]);
  expect(await e.db.sql('select * from retention.hold order by id')).toEqual(before);
});

it('a hold placed again as it was typed keeps its rows, and the old one only matches nothing', async () => {
  const [id] = await things(e.db, [40 * 86_400]);
  await typed('item', id!.toUpperCase(), 'public.things');
  await act(e.services, 'bob', {
    action: 'hold.place',
    scope: 'item',
    table: 'public.things',
    subject: id!.toUpperCase(),
    reason: 'as case 7',
  });
  expect((await all()).map((f) => f.matches).sort()).toEqual(['none', 'some']);
  expect(await e.run(policy)).toMatchObject({ deleted: 0, kept: { held: 1 } });
});

it('extensions and overrides are named alike, composite keys too', async () => {
  const pairs = await keyed(e.db, 'pairs', [
    ['n', 'int8'],
    ['t', 'text'],
  ]);
  const orgs = await keyed(e.db, 'orgs', [['id', 'uuid']], { columns: 'plan text' });
  const tiers: Policy = {
    ...policy,
    tenants: {
      table: orgs.table,
      key: { column: 'id', type: 'uuid' },
      column: 'org',
      label: 'o.plan',
      judgedBy: [],
    },
  };
  e = { ...e, services: { ...e.services, policies: [tiers, pairs] } };
  const [{ id } = { id: '' }] = await e.db.sql<{ id: string }>(
    'insert into orgs (id) values (gen_random_uuid()) returning id',
  );
  await e.db.sql("insert into pairs values (1, 'a'), (2, 'b')");
  await e.db.sql(`insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values
    ('public.pairs', '["1","a"]', '2099-01-01', 'r', 'alice'), ('public.pairs', '["2", "b"]', '2099-01-01', 'r', 'alice'),
    ('public.pairs', '[3,', '2099-01-01', 'r', 'alice'), ('public.pairs', '["4", "d"]', '2020-01-01', 'r', 'alice')`);
  await e.db.sql(
    "insert into retention.period_override (policy, tenant, reason, set_by) values ('things', $1, 'r', 'alice')",
    [id.toUpperCase()],
  );
  const found = await all();
  const matches = (id: string) => found.find((f) => f.id === id)?.matches;
  expect(found).toHaveLength(4);
  expect(matches('public.pairs ["1","a"]')).toBe('misspelled');
  expect(matches('public.pairs ["2", "b"]')).toBe('some');
  expect(matches('public.pairs [3,')).toBe('none');
  expect(matches(`things ${id.toUpperCase()}`)).toBe('misspelled');
  const { entries } = (await list(e.services, '?list=extensions')).body as {
    entries: Record<string, unknown>[];
  };
  expect(entries.find((x) => x.row_key === '["4", "d"]')).not.toHaveProperty('matches');
  expect((await list(e.services, '?list=overrides')).body.entries).toMatchObject([{ printedAs: [id] }]);
  const key = '["1","a"]';
  await act(e.services, 'alice', {
    action: 'extension.end',
    table: 'public.pairs',
    key,
    reason: 'misspelled',
  });
  await act(e.services, 'alice', {
    action: 'override.remove',
    policy: 'things',
    tenant: id.toUpperCase(),
    reason: 'misspelled',
  });
  expect(await e.db.sql('select 1 from retention.period_override')).toEqual([]);
});

it('hundreds of holds are looked at page by page, each once', async () => {
  await e.db.sql(`insert into retention.hold (scope, subject, reason, placed_by)
    select 'user', gen_random_uuid()::text, 'r', 'alice' from generate_series(1, 450)`);
  const found = await all();
  expect(new Set(found.map((f) => f.id)).size).toBe(450);
  expect(inWords(found[0]!)).toMatch(/^hold .* by alice: matches nothing now \(public\.things: 0\)$/);
});

it('one line tells a person what a hold keeps, and that a misspelled one keeps nothing', () => {
  const found = { id: 'h1', by: 'ann', reason: 'case', covers: [], printedAs: [] };
  const line = (more: object) => inWords({ ...found, ...more } as unknown as Finding);
  expect(line({ kind: 'holds', matches: 'none' })).toBe(
    'hold h1 by ann: matches nothing now (no policy looks there)',
  );
  const covers = [{ policy: 'p', table: 'public.notes', columns: ['person'], rows: 3 }];
  expect(line({ kind: 'extensions', matches: 'some', covers })).toBe(
    'extension h1 by ann: keeps (public.notes: 3)',
  );
  expect(line({ kind: 'overrides', matches: 'misspelled', covers, printedAs: ['7b0c'] })).toContain(
    'override h1 by ann: KEEPS NOTHING: rows print this as "7b0c"; set it again',
  );
});
