/**
 * What the preflight says of each policy in a database, read READ ONLY over a plain connection: before a deploy, with
 * an address that the app itself may not have yet. Rights are those of lapse_app where the login may act as it.
 */
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import type { Problem } from '../../platform/errors';
import type { PermanentTable, Policy } from '../../policies/contract';
import type { OrderReview } from '../../policies/order-contract';
import { decidedByOperators, judgeOperators, operatorsRights } from './check-operators';
import { catalogFacts, judgeFacts } from './preflight';

interface Checked {
  readonly policy: string;
  readonly problems: readonly Problem[];
}

export interface Check {
  /** Whose rights were looked at. */
  readonly role: string;
  readonly policies: readonly Checked[];
  /** What keeps operators from deciding about rows; no policy waits for it. */
  readonly operators: readonly Problem[];
}

/** In one READ ONLY transaction that is rolled back. Throws what keeps the catalog from being read at all. */
export async function checkPolicies(
  client: Client,
  policies: readonly Policy[],
  permanent: readonly PermanentTable[],
  review?: OrderReview,
): Promise<Check> {
  await client.query('begin read only');
  try {
    await client.query("select set_config('statement_timeout', '60s', true)");
    const { rows } = await client.query<{ there: boolean }>(
      "select to_regclass('retention.run') is not null as there",
    );
    if (!rows[0]?.there) throw new Error('this database has no schema retention: npm run migrate makes it');
    const role = await actAsTheApp(client);
    const checked: Checked[] = [];
    for (const policy of policies)
      checked.push({ policy: policy.name, problems: await ask(client, policy, permanent) });
    return { role, policies: checked, operators: await askForOperators(client, policies, review) };
  } finally {
    await client.query('rollback');
  }
}

/** One policy whose catalog cannot be read does not keep the others from being judged. */
async function ask(client: Client, policy: Policy, permanent: readonly PermanentTable[]): Promise<Problem[]> {
  const savepoint = `s_${randomUUID().replaceAll('-', '')}`;
  await client.query(`savepoint ${savepoint}`);
  try {
    const { text, params } = catalogFacts(policy);
    const { rows } = await client.query<{ facts: unknown }>(text, [...params]);
    return judgeFacts(policy, rows[0]?.facts, permanent);
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    return [
      {
        problem: `its catalog could not be read: ${[code, message].filter(Boolean).join(' ')}`,
        remedy: 'fix the declaration, or run npm run migrate if this database is behind',
      },
    ];
  } finally {
    await client.query(`rollback to savepoint ${savepoint}`);
  }
}

async function askForOperators(
  client: Client,
  policies: readonly Policy[],
  review: OrderReview | undefined,
): Promise<Problem[]> {
  const decided = decidedByOperators(policies, review);
  const { text, params, read } = operatorsRights(decided);
  const { rows } = await client.query(text, [...params]);
  return judgeOperators(decided, read(rows));
}

/** An owner has rights the app has not: what it lacks would not show. */
async function actAsTheApp(client: Client): Promise<string> {
  await client.query('savepoint as_the_app');
  try {
    await client.query('set local role lapse_app');
  } catch {
    await client.query('rollback to savepoint as_the_app');
  }
  const { rows } = await client.query<{ role: string }>('select current_user as role');
  return rows[0]?.role ?? 'unknown';
}

/** For a person: a line a policy that fits, and what to run for one that does not. */
export function checkInWords({ role, policies, operators }: Check): string {
  const lines = policies.flatMap(({ policy, problems }) =>
    problems.length === 0
      ? [`${policy}: fits`]
      : [
          `${policy}: ${problems.length === 1 ? '1 problem' : `${problems.length} problems`}`,
          ...problems.flatMap(inLines),
        ],
  );
  if (policies.length === 0) lines.push('no policy is declared: npm run policy:new writes one');
  if (operators.length > 0) lines.push('for operators:', ...operators.flatMap(inLines));
  if (role !== 'lapse_app') lines.push(`rights were looked at as ${role}`);
  return lines.join('\n');
}

const inLines = (p: Problem): string[] => [`  - ${p.problem}`, `    ${p.remedy}`];
