/** What the preflight says of a policy, and following it. */
import { expect } from 'vitest';
import type { Policy } from '@/lib/policies/contract';
import { type Engine, fitsDatabase } from './engine';

/** Its problems as text, after checking that a run is refused for them and deletes nothing. */
export async function refused(e: Engine, policy: Policy): Promise<string> {
  const problems = await fitsDatabase(e, policy);
  expect(problems).not.toEqual([]);
  expect(await e.run(policy)).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 0 });
  return problems.map((p) => `${p.problem}\n${p.remedy}`).join('\n');
}

/** Runs, as the owner, every statement the preflight prints, and gives what is left to say. */
export async function follow(e: Engine, policy: Policy): Promise<string[]> {
  for (const { remedy } of await fitsDatabase(e, policy)) {
    const statement = /\b(ALTER|CREATE|GRANT|DROP|INSERT INTO retention|SELECT retention)[ .][^;]*;/.exec(
      remedy,
    )?.[0];
    if (!statement) continue;
    const answer = await e.db.sql(statement);
    if (statement.includes('index_statements'))
      for (const { index_statements } of answer) await e.db.sql(String(index_statements));
  }
  return (await fitsDatabase(e, policy)).map((p) => p.problem);
}

/** Every row a receipt names, `table key`, sorted. */
export async function named(e: Engine): Promise<string[]> {
  const rows =
    await e.db.sql(`select r.table_name || ' ' || k as row from retention.receipt r, unnest(retention.keys_of(r)) k
    union all select d.key || ' ' || k from retention.receipt r, jsonb_each(r.dependants) d, jsonb_array_elements_text(d.value) k`);
  return rows.map((r) => String(r.row)).sort();
}
