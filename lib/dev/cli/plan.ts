/**
 * `npm run plan [-- --database URL] [-- --json] [-- --days N]`: what this branch changes against what production last ran,
 * and exactly how many rows and files become deletable because of it: as Markdown, or as JSON. Reads the database that
 * PLAN_DATABASE_URL, else DATABASE_URL, names (production, or a branch of it), in READ ONLY transactions.
 */
import { parseArgs } from 'node:util';
import { Client } from 'pg';
import { SettingsError } from '../../platform/errors';
import { guardSettings } from '../../platform/settings';
import { policies } from '../../policies';
import { makePlan } from '../../watch/plan/plan';
import { planInWords } from '../../watch/plan/words';
import { readOnly } from '../read-only';

/** Minutes that a reviewer waits for; what is not counted by then is "more than". */
const MOST_MS = 5 * 60_000;

const { values } = parseArgs({
  options: {
    database: { type: 'string' },
    days: { type: 'string', default: '30' },
    json: { type: 'boolean', default: false },
  },
});
const url = values.database || process.env.PLAN_DATABASE_URL || process.env.DATABASE_URL;
if (!url || !/^[1-9]\d{0,2}$/.test(values.days)) {
  console.error(
    url
      ? '--days takes a whole number from 1 to 999'
      : 'set PLAN_DATABASE_URL, or give --database, to production or a branch of it; it is only read',
  );
  process.exit(2);
}
const client = new Client({ connectionString: url });
try {
  await client.connect();
  const deadline = new Date(Date.now() + MOST_MS);
  const context = {
    database: readOnly(client),
    policies,
    guards: guardSettings(process.env),
    clock: () => new Date(),
  };
  const plan = await makePlan(context, { deadline, days: Number(values.days) });
  console.log(values.json ? JSON.stringify(plan, null, 2) : planInWords(plan));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = error instanceof SettingsError ? 2 : 1;
} finally {
  await client.end().catch(() => undefined);
}
