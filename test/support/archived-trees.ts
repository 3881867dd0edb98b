/**
 * A Lapse whose policy `pictures` archives before it deletes, with what hangs on a picture at any depth.
 *
 * `deep`: frame → mount → stamp below a picture, by its unique code, each in one way only. `tangled`: pictures below pictures, two
 * references from `pair` to them, `stamp` below `pair`, and a reference back from a picture to a pair: rows may be reached in
 * several ways, from several pictures, and in circles.
 */
import { expect } from 'vitest';
import type { Line } from '@/lib/engine/archive/transform';
import { linesOf } from '@/lib/files/archive/read';
import { validateArchive } from '@/lib/files/archive/validate';
import type { PolicyInput } from '@/lib/policies/contract';
import { defineDataMap } from '@/lib/policies/data-map-contract';
import { type Archived, archivedFiles } from './archived';
import { OPERATORS } from './operators';
import { named } from './preflight';

type Dependant = NonNullable<PolicyInput['dependants']>[number];
export const going = (name: string, references: string, more: Partial<Dependant> = {}): Dependant => ({
  table: { name },
  key: [{ column: 'id', type: 'integer' }],
  references: [references],
  fate: 'delete',
  ...more,
});
const FILE = [{ column: 'file', fate: 'delete' as const, prefix: 'mounts/', suffixed: true }];

export const DEEP: Dependant[] = [
  going('frame', 'picture', { refersTo: ['code'], scope: { user: 'person' } }),
  going('mount', 'frame', { via: { name: 'frame' }, scope: { user: 'person' }, files: FILE }),
  going('stamp', 'mount', { via: { name: 'mount' } }),
];
const TANGLED: Dependant[] = [
  { ...going('pictures', 'parent'), key: [{ column: 'id', type: 'uuid' }] },
  going('pair', 'one'),
  going('pair', 'two'),
  going('stamp', 'mount', { via: { name: 'pair' } }),
  { ...going('pictures', 'cover', { via: { name: 'pair' } }), key: [{ column: 'id', type: 'uuid' }] },
];

const DEEP_TABLES = `
  alter table pictures add column code text unique;
  create table frame (id int primary key, picture text references pictures (code), person uuid, words text);
  create table mount (id int primary key, frame int not null references frame on delete cascade, person uuid, file text);
  create table stamp (id int primary key, mount int not null references mount, words jsonb);
  create index on frame (picture); create index on mount (frame); create index on stamp (mount);
  create index on mount (retention.blob_path(file)); create index on frame (person); create index on mount (person);`;
const TANGLED_TABLES = `
  alter table pictures add column parent uuid references pictures, add column cover int;
  create table pair (id int primary key, one uuid references pictures, two uuid references pictures, words text);
  create table stamp (id int primary key, mount int not null references pair, words jsonb);
  alter table pictures add foreign key (cover) references pair;
  create index on pair (one); create index on pair (two); create index on stamp (mount); create index on pictures (parent); create index on pictures (cover);`;

const ORG = '00000000-0000-4000-8000-00000000000a';
export const person = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

export interface Treed extends Archived {
  readonly tables: readonly string[];
  /** Remembers every row as PostgreSQL prints it. */
  remember(): Promise<void>;
  /** Rows that are not as they were remembered, in plain SQL: missing, or other ones. */
  unlike(): Promise<string[]>;
  /** `table key` of all rows that archives hold to be deleted, each as often as it stands there. */
  archivedRows(): Promise<string[]>;
  /** The same of what receipts name. */
  receipted(): Promise<string[]>;
  lines(): Promise<{ archive: string; table: string; line: Line }[]>;
}

export async function treed(kind: 'deep' | 'tangled', more: Partial<PolicyInput> = {}): Promise<Treed> {
  const dependants = kind === 'deep' ? DEEP : TANGLED;
  const base = await archivedFiles({ policy: { dependants, ...more }, env: { LAPSE_OPERATORS: OPERATORS } });
  const { db, store } = base;
  await db.sql(`drop table notes; ${kind === 'deep' ? DEEP_TABLES : TANGLED_TABLES}`);
  const tables = kind === 'deep' ? ['pictures', 'frame', 'mount', 'stamp'] : ['pictures', 'pair', 'stamp'];
  const all = tables.join(', ');
  await db.sql(
    `grant select, update, delete on ${all} to lapse_app; grant select, insert on ${all} to lapse_operator`,
  );
  for (const table of tables) await db.sql(`create table was_${table} (line text)`);
  const lines = async () => {
    const found: { archive: string; table: string; line: Line }[] = [];
    const kept = await db.sql<{ id: string; prefix: string; sha: string }>(
      `select id, prefix, manifest_sha256 as sha from retention.archive where state = 'kept' order by created_at, seq`,
    );
    for (const { id, prefix, sha } of kept) {
      const manifest = await validateArchive(store, prefix, sha);
      for (const part of manifest.tables)
        for await (const text of linesOf(store, prefix, part))
          found.push({ archive: id, table: part.table, line: JSON.parse(text) as Line });
    }
    return found;
  };
  const dataMap = defineDataMap({
    'public.frame': { kept: 'goes with its picture', confidential: { delete: ['person'] } },
    'public.mount': { kept: 'goes with its picture', confidential: { delete: ['person'] } },
  });
  return {
    ...base,
    services: { ...base.services, dataMap },
    tables,
    remember: async () => {
      for (const t of tables)
        await db.sql(`delete from was_${t}; insert into was_${t} select x::text from ${t} x`);
    },
    unlike: async () => {
      const asked = tables.map(
        (t) => `select '${t}: ' || line as line from (
          (select line from was_${t} except all select x::text from ${t} x)
          union all (select x::text from ${t} x except all select line from was_${t})) d`,
      );
      const found = await db.sql<{ line: string }>(`${asked.join(' union all ')} order by 1`);
      return found.map((x) => x.line);
    },
    archivedRows: async () =>
      (await lines())
        .filter(({ line }) => !line.s)
        .map(({ table, line }) => `${table} ${line.k}`)
        .sort(),
    receipted: () => named(base),
    lines,
  };
}

/** `n` pictures past their period; each with two frames, on each two mounts with a file, on each one stamp. */
export async function deepRows(e: Treed, n: number): Promise<string[]> {
  const ids = await e.rows(
    Array.from({ length: n }, (_, i) => ({ age: 50 - i, file: null, org: ORG, person: person(1) })),
  );
  const files = Array.from({ length: n * 4 }, (_, i) => `mounts/m-${String(i + 1).padStart(30, 'x')}.png`);
  await e.upload(...files);
  await e.db.sql(
    `update pictures set code = 'c-' || array_position($1::uuid[], id) where id = any($1::uuid[]);`.replaceAll(
      '$1',
      `'{${ids.join(',')}}'`,
    ),
  );
  await e.db.sql(`insert into frame select i, 'c-' || (i + 1) / 2, null, E'a "frame",\\n with ünï ' || i from generate_series(1, ${2 * n}) i;
    insert into mount select i, (i + 1) / 2, null, ('{${files.join(',')}}'::text[])[i] from generate_series(1, ${4 * n}) i;
    insert into stamp select i, i, jsonb_build_object('n', i, 'a', null) from generate_series(1, ${4 * n}) i`);
  await e.remember();
  return ids;
}

/** What is left of the tables, by name. */
export async function left(e: Treed): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const t of e.tables) {
    const [row] = await e.db.sql<{ n: number }>(`select count(*)::int as n from ${t}`);
    found[t] = row!.n;
  }
  return found;
}

/** Every receipted row is in an archive, and no row is named twice. */
export async function expectArchived(e: Treed): Promise<string[]> {
  const gone = await e.receipted();
  expect(new Set(gone).size).toBe(gone.length);
  const archived = new Set(await e.archivedRows());
  expect(gone.filter((row) => !archived.has(row))).toEqual([]);
  return gone;
}
