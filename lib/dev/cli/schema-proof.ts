/**
 * `npm run proof:schema -- --schema FILE [--rows N] [--seed S] [--table NAME]…`: is Lapse exact on the schema of an application, as
 * `pg_dump --schema-only` writes it? In a database of its own, with random rows; see lib/dev/proof/schema. Ends with code 1 when
 * anything is wrong, with code 2 when the file could not be run.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startLocalCloud } from '../local-cloud';
import { proveSchema } from '../proof/schema/proof';
import { wholeNumber } from '../whole-number';

const { values } = parseArgs({
  options: {
    schema: { type: 'string' },
    rows: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
    table: { type: 'string', multiple: true },
  },
});
const rows = wholeNumber('rows', values.rows);
const seed = wholeNumber('seed', values.seed);
if (!values.schema) {
  console.error('--schema takes a file as pg_dump --schema-only writes it');
  process.exit(2);
}
const schema = readFileSync(values.schema, 'utf8');
const folder = await mkdtemp(join(tmpdir(), 'lapse-schema-'));
const cloud = await startLocalCloud({ folder, durable: false, contents: 'memory' });
try {
  const proof = await proveSchema({
    cloud,
    schema,
    rows,
    seed,
    ...(values.table ? { only: values.table } : {}),
    say: (line) => console.log(line),
  });
  for (const line of proof.empty) console.log(`empty ${line}`);
  for (const line of proof.refused) console.log(`refused ${line}`);
  for (const line of proof.wrong) console.log(`WRONG ${line}`);
  console.log(
    `${proof.rows} rows left; of ${proof.exact + proof.refused.length + proof.wrong.length} tables with a clock ${proof.exact} exact, ${proof.refused.length} refused, ${proof.wrong.length} wrong`,
  );
  process.exitCode = proof.wrong.length > 0 ? 1 : 0;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
} finally {
  await cloud.stop();
  await rm(folder, { recursive: true, force: true });
}
process.exit();
