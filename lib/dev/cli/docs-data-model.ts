/**
 * `npm run docs:data-model`: writes docs/DATA-MODEL.md from a migrated database, that of MIGRATION_DATABASE_URL or, where it
 * is not set, one of its own that it starts, migrates and throws away.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readCatalog } from '../docs/catalog';
import { dataModel } from '../docs/data-model';
import { problemsOf } from '../docs/data-model-rules';
import { startPostgres } from '../local-cloud/postgres/start';
import { migrate } from '../migrate';

const given = process.env.MIGRATION_DATABASE_URL;
const tables = given ? await readCatalog(given) : await ofItsOwn();
const problems = problemsOf(tables);
for (const problem of problems) console.error(problem);
await writeFile('docs/DATA-MODEL.md', dataModel(tables));
console.log(`docs/DATA-MODEL.md: ${tables.length} tables, ${problems.length} without what they need`);
process.exitCode = problems.length > 0 ? 1 : 0;

async function ofItsOwn(): ReturnType<typeof readCatalog> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lapse-docs-'));
  const password = randomBytes(16).toString('hex');
  const server = await startPostgres({ folder, user: 'postgres', password, durable: false });
  const url = `postgresql://postgres:${password}@${server.host}:${server.port}/postgres`;
  try {
    await migrate(url, { sets: ['retention'], direction: 'up' });
    return await readCatalog(url);
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
