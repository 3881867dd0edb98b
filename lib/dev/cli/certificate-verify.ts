/**
 * `npm run certificate:verify -- FILE [--chain CHAIN] [--key PUBLIC_KEY]`: verifies the certificate of an erasure, without a
 * database: its signature and, with the exported chain (`npm run audit:verify -- --export CHAIN`), that the chain holds it. Ends
 * with code 1 when one byte of either was changed.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { verifyCertificate } from '../../rights/certificate-verify';

const { values, positionals } = parseArgs({
  options: { chain: { type: 'string' }, key: { type: 'string' } },
  allowPositionals: true,
});
const [file] = positionals;
if (!file || positionals.length > 1) {
  console.error('name the file of one certificate');
  process.exit(2);
}
try {
  const chain = values.chain === undefined ? undefined : readFileSync(values.chain, 'utf8');
  const { problems, certificate } = verifyCertificate(readFileSync(file, 'utf8'), { chain, key: values.key });
  for (const problem of problems) console.error(problem);
  if (certificate) console.log(JSON.stringify(certificate, null, 2));
  const by = values.key ? 'by the key given' : 'by the key in the file: compare it with the published one';
  const held = values.chain ? ', and the chain holds it' : '; not held against the chain (--chain)';
  console.log(problems.length === 0 ? `valid: signed ${by}${held}` : 'NOT VALID');
  process.exitCode = problems.length === 0 ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
