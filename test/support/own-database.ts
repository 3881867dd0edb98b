/** The user's own database, where TEST_POSTGRES_URL names one: its catalog is read, nothing is changed. */
import { Client } from 'pg';
import { checkPolicies } from '@/lib/engine/statement/check';
import type { Problem } from '@/lib/platform/errors';
import { permanentTables } from '@/lib/policies';
import type { Policy } from '@/lib/policies/contract';

/** Undefined: then no test can say whether a policy fits; `npm run policy:check` can. */
export const ownDatabase: string | undefined = process.env.TEST_POSTGRES_URL;

export async function problemsIn(url: string | undefined, policy: Policy): Promise<readonly Problem[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await checkPolicies(client, [policy], permanentTables)).policies[0]?.problems ?? [];
  } finally {
    await client.end();
  }
}
