/**
 * `npm run audit:verify [-- --head FILE] [--key PUBLIC_KEY] [--export FILE]`: verifies the whole audit chain of DATABASE_URL_READER, else
 * DATABASE_URL, against an exported head when given. Ends with code 1 when anything was edited, removed, moved or cut off.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Entry, exportedEntry } from '../../operators/audit/chain';
import { type ExportedHead, readHead } from '../../operators/audit/head';
import { verify } from '../../operators/audit/verify';
import { connect } from '../../platform/database';

const { values } = parseArgs({
  options: { head: { type: 'string' }, key: { type: 'string' }, export: { type: 'string' } },
});
const { DATABASE_URL_READER, DATABASE_URL, NEON_HTTP_ENDPOINT: endpoint } = process.env;
const url = DATABASE_URL_READER || DATABASE_URL;
if (!url) {
  console.error(
    'set DATABASE_URL_READER to the database whose chain is to be verified: a login in lapse_reader is enough',
  );
  process.exit(2);
}
try {
  const file = values.head
    ? (JSON.parse(readFileSync(values.head, 'utf8')) as ExportedHead & { head?: ExportedHead })
    : null;
  // As the endpoint answers it, or the head alone.
  const exported = file?.head ?? file;
  const known = exported ? readHead(exported, values.key ?? exported.publicKey) : undefined;
  const out = values.export === undefined ? null : openSync(values.export, 'w');
  const each = (entry: Entry) => out && writeSync(out, exportedEntry(entry));
  const database = connect(url, endpoint, process.env.NEON_HTTP_TOKEN);
  const v = await verify(database, { ...(known ? { known } : {}), each });
  if (out) closeSync(out);
  for (const p of v.problems) console.error(`${p.kind}: ${p.message}`);
  console.log(
    `${v.ok ? 'intact' : 'BROKEN'}: ${v.entries} entries, ${v.runs} sealed runs, ${v.receipts} receipts`,
  );
  if (v.head) console.log(`head: ${v.head.n} ${v.head.hash} ${v.head.at}`);
  process.exitCode = v.ok ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
