/**
 * `npm run policy:check`: what keeps each policy from deleting in DATABASE_URL, else in MIGRATION_DATABASE_URL, each with
 * the statement that fixes it; then what operators lack. Reads the catalog only. Ends with code 1 when a policy may not
 * delete.
 */
import { Client } from 'pg';
import { checkInWords, checkPolicies } from '../../engine/statement/check';
import { permanentTables, policies } from '../../policies';
import { orderReview } from '../../policies/order-review';

const url = process.env.DATABASE_URL ?? process.env.MIGRATION_DATABASE_URL;
if (!url) {
  console.error(
    'set DATABASE_URL, or MIGRATION_DATABASE_URL, to the database to look at; nothing is changed in it',
  );
  process.exit(2);
}
const client = new Client({ connectionString: url });
try {
  await client.connect();
  const check = await checkPolicies(client, policies, permanentTables, orderReview);
  console.log(checkInWords(check));
  process.exitCode = check.policies.some((p) => p.problems.length > 0) ? 1 : 0;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
} finally {
  await client.end().catch(() => undefined);
}
