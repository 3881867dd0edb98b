/** The rows of Lapse's tables and of `things` as they are now, to come back to between tests that edit them. */
import type { TestDatabase } from './database';

/** Returns what puts them back, past every trigger and foreign key. Tables and rights stay as they are. */
export async function snapshot(db: TestDatabase): Promise<() => Promise<void>> {
  const tables = await db.sql<{ name: string; copy: string; columns: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name, format('snapshot.%I', n.nspname || '_' || c.relname) as copy,
       (select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and (n.nspname = 'retention' or (n.nspname = 'public' and c.relname = 'things'))`,
  );
  const copies = tables.map((t) => `create table ${t.copy} as select ${t.columns} from ${t.name}`);
  await db.sql(['create schema snapshot', ...copies].join('; '));
  const back = tables.map(
    (t) =>
      `delete from ${t.name}; insert into ${t.name} (${t.columns}) overriding system value select ${t.columns} from ${t.copy}`,
  );
  const restore = `begin; set local session_replication_role = replica; ${back.join('; ')}; commit`;
  return async () => {
    await db.sql(restore);
  };
}
