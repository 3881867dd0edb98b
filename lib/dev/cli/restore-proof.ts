/**
 * `npm run proof:restore [-- --letters N]`: rehearses docs/BACKUP.md against a PostgreSQL of its own: archived log, base backup,
 * a mistake, a restore to the moment before it, and what is to be done then. Ends with code 1 when a step does not show what it must.
 */
import { parseArgs } from 'node:util';
import { rehearse } from '../proof/restore/rehearse';

const { values } = parseArgs({ options: { letters: { type: 'string', default: '200000' } } });
const letters = Number(values.letters);
if (!Number.isInteger(letters) || letters < 1000) {
  console.error('--letters takes a whole number from 1000');
  process.exit(2);
}
const { checks, seconds, copiedBy } = await rehearse({ folder: '.lapse/restore-proof', letters });
for (const { ok, what, found } of checks)
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${what}${found && `: ${found}`}`);
console.log(
  `${letters} letters: the restored server answered after ${seconds.restored.toFixed(1)} s, all steps were done after ${seconds.running.toFixed(1)} s; the dump was made by ${copiedBy}`,
);
process.exitCode = checks.every((c) => c.ok) ? 0 : 1;
