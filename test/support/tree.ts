/** Trees of tables for the tests: made by SQL, governed by a policy over `doc` (30 days after `at`), each table with a key `id`. */
import { definePolicy, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { ago, DAY, type Engine, thingsPolicy } from './engine';

export const OLD = ago(99 * DAY);
export const FRESH = ago(DAY);
const ID = [{ column: 'id', type: 'integer' }];

type Declared = NonNullable<PolicyInput['dependants']>[number];

/** `on('version', 'note', 'note_id')`: rows of `version` hang on `note` by `note_id`. */
export const on = (
  name: string,
  via: string | null,
  references: string | string[],
  more: Partial<Declared> = {},
): Declared => ({
  table: { name },
  ...(via === null ? {} : { via: { name: via } }),
  key: ID,
  references: [references].flat(),
  fate: 'delete',
  ...more,
});

export function treePolicy(dependants: Declared[], more: Partial<PolicyInput> = {}): Policy {
  const { scope: _, ...base } = thingsPolicy();
  return definePolicy({ ...base, table: { name: 'doc' }, key: ID, dependants, ...more });
}

/** Runs the statements and gives every table what the preflight asks for: indexes on what refers, and rights. */
export async function planted(e: Engine, statements: string): Promise<void> {
  await e.db.sql(statements);
  await e.db.sql(`do $$ declare f record; begin
    for f in select distinct conrelid::regclass as t, (select string_agg(quote_ident(attname), ', ' order by k.n)
        from unnest(conkey) with ordinality k(a, n) join pg_attribute on attrelid = conrelid and attnum = k.a) as columns
      from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace and conrelid::regclass::text not like 'retention.%'
    loop execute format('create index on %s (%s)', f.t, f.columns); end loop;
    if to_regclass('doc') is not null then create index on doc (at, id); end if;
    grant select, update, delete on all tables in schema public to lapse_app;
  end $$`);
}

/** Every row of the tables, `public.table key`, sorted. */
export async function present(e: Engine, ...tables: string[]): Promise<string[]> {
  const all = await Promise.all(tables.map((t) => e.db.sql(`select 'public.${t} ' || id as row from ${t}`)));
  return all
    .flat()
    .map((r) => String(r.row))
    .sort();
}
