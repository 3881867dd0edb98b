/**
 * A person with rows in every table of the example, some of them reached only through other tables, one in a JSON payload, and
 * forty files, is erased. A scan of its own then looks into every column of every table, and into the store: nothing of the person is
 * left but what the data map retains.
 */
import { eraseSubject } from '../../../rights/erase';
import { type ProofCloud, proofCloud } from './cloud';
import type { Part, Proved } from './part';
import { FILES, type Person, plant } from './person';
import { scan } from './scan';

const ROWS = 2_000;

export const erasure: Part = {
  name: 'erasure',
  async prove(say) {
    const c = await proofCloud({ rows: ROWS });
    try {
      return await whole(c, say);
    } finally {
      await c.end();
    }
  },
};

async function whole(c: ProofCloud, say: (line: string) => void): Promise<Proved> {
  const problems: string[] = [];
  const check = (holds: boolean, what: string) => {
    say(`${holds ? 'ok   ' : 'WRONG'} ${what}`);
    if (!holds) problems.push(what);
  };
  const person = await plant(c.owner, c.cloud.blob);
  const before = await scan(c.owner, person.marks);
  check(
    before.tables.size === person.tables.length,
    `planted in ${before.tables.size} tables of ${person.tables.length}`,
  );
  check(person.files.length === FILES, `${person.files.length} files`);
  const others = await othersIn(c, person);
  const order = orderOf(c, person);
  const dry = await eraseSubject(c.services, { ...order, dryRun: true });
  const done = await eraseSubject(c.services, { ...order, dryRun: false });
  say(done.message);
  check(done.outcome === 'succeeded', `the erasure ended ${done.outcome}`);
  check(
    dry.deleted === done.deleted && dry.masked === done.masked && dry.files === done.files,
    'the dry run said so before',
  );
  const after = await scan(c.owner, person.marks);
  const kept = new Set(done.retained.map((r) => r.table));
  for (const [table, columns] of after.tables) {
    const isKept = kept.has(table);
    check(
      isKept,
      `${table} (${columns.join(', ')}): ${isKept ? groundOf(done.retained, table) : 'left behind'}`,
    );
  }
  const files = c.stored().filter((path) => person.files.includes(path));
  check(files.length === 0, `${files.length} files of the person are left in the store`);
  check((await othersIn(c, person)) === others, 'no row of anybody else is gone');
  const figures = {
    tables: person.tables.length,
    rows: done.deleted + done.policies.reduce((n, s) => n + s.dependantsDeleted, 0),
    masked: done.masked,
    files: done.files,
    columnsScanned: after.columns,
    left: after.found - after.foundIn([...kept]),
  };
  return { figures, problems };
}

const orderOf = (c: ProofCloud, { id }: Person) => ({
  subject: { scope: 'user' as const, id },
  reason: 'proof',
  actor: 'ann',
  correlationId: 'proof',
  deadline: new Date(c.services.clock().getTime() + 240_000),
});

const groundOf = (retained: readonly { table: string; ground: string }[], table: string): string =>
  `retained: ${retained.find((r) => r.table === table)?.ground}`;

/** Rows of the example that are not the person's, by a count of its own. */
async function othersIn(c: ProofCloud, person: Person): Promise<number> {
  const counts = person.tables.map((t) => `(select count(*) from ${t} t where not (t.id = any($1::uuid[])))`);
  const { rows } = await c.owner.query<{ n: number }>(`select (${counts.join(' + ')})::int as n`, [
    person.rows,
  ]);
  return rows[0]!.n;
}
