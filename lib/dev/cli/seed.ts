/** `npm run seed -- [--rows N]`: fills the example schema of MIGRATION_DATABASE_URL. */
import { parseArgs } from 'node:util';
import { seed } from '../../example/seed';

const { values } = parseArgs({ options: { rows: { type: 'string', default: '10000' } } });
const url = process.env.MIGRATION_DATABASE_URL;
if (!/^[1-9]\d*$/.test(values.rows) || !url) {
  console.error(url ? '--rows takes a whole number from 1' : 'MIGRATION_DATABASE_URL is not set');
  process.exit(2);
}
await seed(url, { rows: Number(values.rows), asOf: new Date(), log: console.log });
