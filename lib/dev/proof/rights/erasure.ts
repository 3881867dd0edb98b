/**
 * A person with rows in every table of the example, some of them reached only through other tables, one in a JSON payload, and
 * forty files, is erased. A scan of its own then looks into every column of every table, and into the store: nothing of the person is
 * left but what the data map retains. The certificate verifies, and fails with any one byte changed.
 */
import { generateKeyPairSync } from 'node:crypto';
import { exportedEntry } from '../../../operators/audit/chain';
import { verify } from '../../../operators/audit/verify';
import { certificateOf } from '../../../rights/certificate';
import { verifyCertificate } from '../../../rights/certificate-verify';
import { eraseSubject } from '../../../rights/erase';
import { type ProofCloud, proofCloud } from './cloud';
import type { Part, Proved } from './part';
import { FILES, type Person, plant } from './person';
import { scan } from './scan';

const ROWS = 2_000;
/** Bytes of the chain that are changed, one at a time. */
const CHAIN_BYTES = 1_000;

export const erasure: Part = {
  name: 'erasure',
  async prove(say) {
    const { privateKey } = generateKeyPairSync('ed25519');
    const key = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
    const c = await proofCloud({ rows: ROWS, env: { LAPSE_AUDIT_SIGNING_KEY: key } });
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
  const changes = await certificate(c, done.id!, person, check);
  const figures = {
    tables: person.tables.length,
    rows: done.deleted + done.policies.reduce((n, s) => n + s.dependantsDeleted, 0),
    masked: done.masked,
    files: done.files,
    columnsScanned: after.columns,
    certificateBytesChanged: changes.certificate,
    chainBytesChanged: changes.chain,
    entries: changes.entries,
    left: after.found - after.foundIn([...kept]),
  };
  return { figures, problems };
}

/** Verifies it as anybody could, then with one byte after the other changed, of it and of the chain. */
async function certificate(
  c: ProofCloud,
  id: string,
  person: Person,
  check: (holds: boolean, what: string) => void,
): Promise<{ certificate: number; chain: number; entries: number }> {
  const file = `${JSON.stringify(await certificateOf(c.services, id))}\n`;
  const lines: string[] = [];
  const { ok } = await verify(c.services.reading, { each: (entry) => lines.push(exportedEntry(entry)) });
  const chain = lines.join('');
  check(ok, `the audit chain of ${lines.length} entries verifies`);
  check(
    verifyCertificate(file, { chain }).problems.length === 0,
    'the certificate verifies, without a database',
  );
  check(!person.marks.some((mark) => file.includes(mark)), 'it names no person');
  const changed = (text: string, i: number) =>
    text.slice(0, i) + String.fromCharCode(text.charCodeAt(i) ^ 1) + text.slice(i + 1);
  const passing = { certificate: 0, chain: 0 };
  const every = Math.ceil(chain.length / CHAIN_BYTES);
  for (let i = 0; i < file.length; i += 1) {
    if (verifyCertificate(changed(file, i), { chain }).problems.length === 0) passing.certificate += 1;
  }
  for (let i = 0; i < chain.length; i += every) {
    if (verifyCertificate(file, { chain: changed(chain, i) }).problems.length === 0) passing.chain += 1;
  }
  check(passing.certificate === 0, `it fails with any one of its ${file.length} bytes changed`);
  const tried = Math.ceil(chain.length / every);
  check(passing.chain === 0, `it fails with one byte of the chain changed, tried at ${tried} places`);
  return { certificate: file.length, chain: tried, entries: lines.length };
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
