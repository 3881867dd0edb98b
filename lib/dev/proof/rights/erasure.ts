/** An erasure of the example reaches every governed table that names the person, and nothing of another person. */
import { eraseSubject } from '../../../rights/erase';
import { type ProofCloud, proofCloud } from './cloud';
import type { Part, Proved } from './part';

const ROWS = 2_000;

export const erasure: Part = {
  name: 'erasure',
  async prove(say) {
    const c = await proofCloud({ rows: ROWS });
    try {
      return await governed(c, say);
    } finally {
      await c.end();
    }
  },
};

async function governed(c: ProofCloud, say: (line: string) => void): Promise<Proved> {
  const problems: string[] = [];
  const { rows } = await c.owner.query<{ id: string; n: number }>(
    'select user_id::text as id, count(*)::int as n from quiz_responses group by 1 order by n desc, 1 limit 1',
  );
  const person = rows[0]!.id;
  const [before, all] = [await rowsOf(c, person), await rowsOf(c, null)];
  say(`a person with ${before} rows in the governed tables of the example, among ${all}`);
  const result = await eraseSubject(c.services, {
    subject: { scope: 'user', id: person },
    reason: 'proof',
    actor: 'ann',
    correlationId: 'proof',
    deadline: new Date(c.services.clock().getTime() + 240_000),
    dryRun: false,
  });
  say(result.message);
  const [after, left] = [await rowsOf(c, person), await rowsOf(c, null)];
  if (result.outcome !== 'succeeded') problems.push(`the erasure ended ${result.outcome}: ${result.message}`);
  if (after !== 0) problems.push(`${after} rows of the person are left`);
  if (all - left !== before) problems.push(`${all - left} rows went, the person had ${before}`);
  return { figures: { rows: before, left: after }, problems };
}

/** Counted by SQL of its own: rows of one person, or of all, in the tables that policies govern. */
async function rowsOf(c: ProofCloud, person: string | null): Promise<number> {
  const tables = c.services.policies
    .filter((p) => p.scope.user === 'user_id')
    .map((p) => `${p.table.schema}.${p.table.name}`);
  const counts = [...new Set(tables)].map(
    (t) => `(select count(*) from ${t} where $1::uuid is null or user_id = $1)`,
  );
  const { rows } = await c.owner.query<{ n: number }>(`select (${counts.join(' + ')})::int as n`, [person]);
  return rows[0]!.n;
}
