/**
 * `npm run subject:export -- --id <export>`: writes an export that an operator has asked for and that no call had time for, and
 * prints its link. Ends with code 1 when it is not complete.
 */
import { parseArgs } from 'node:util';
import { finishExport } from '../../rights/export/export';
import { createServices } from '../../services';

const { values } = parseArgs({ options: { id: { type: 'string' } } });
if (!values.id) {
  console.error('--id takes the id of an export: POST /api/exports answers it, GET /api/exports lists them');
  process.exit(2);
}
try {
  const { message, link, expiresAt } = await finishExport(createServices(), values.id);
  console.log(message);
  if (link) console.log(`until ${expiresAt}: ${link}`);
  process.exitCode = link ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
