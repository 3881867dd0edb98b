/**
 * Binds operators to the database: table retention.operator says what LAPSE_OPERATORS says of those who may act, in one statement.
 * Runs as the owner; the app can neither read nor write the table.
 */
import { Client } from 'pg';
import { actorsIn, type Operator } from '../platform/settings/operators';

/** Changes only what differs. Returns a line for each operator that was bound, changed or removed, by name. */
export async function bindOperators(ownerUrl: string, operators: readonly Operator[]): Promise<string[]> {
  const client = new Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    const { rows } = await client.query(BIND, [JSON.stringify(actorsIn(operators))]);
    return rows.map((row) => `operator ${row.name}: ${row.what}`);
  } finally {
    await client.end();
  }
}

// A row that this statement has inserted has no xmax.
const BIND = `with wanted as (
    select x.name, array_agg(x.sha256 order by x.sha256 collate "C") as hashes
    from jsonb_to_recordset($1::jsonb) x(name text, sha256 text) group by x.name
  ), removed as (
    delete from retention.operator o where not exists (select 1 from wanted w where w.name = o.name) returning o.name
  ), bound as (
    insert into retention.operator as o (name, token_sha256) select w.name, w.hashes from wanted w
    on conflict (name) do update set token_sha256 = excluded.token_sha256
      where o.token_sha256 <> excluded.token_sha256
    returning o.name, o.xmax = 0 as is_new
  )
  select name, 'removed' as what from removed
  union all select name, case when is_new then 'bound' else 'token changed' end from bound order by name`;
