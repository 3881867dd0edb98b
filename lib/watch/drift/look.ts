/**
 * Looks for drift: the catalogs page by page, then what keeps each policy from deleting, by the preflight that its runs ask.
 * READ ONLY and bounded. What cannot be read is a finding of its own and hides no other.
 */
import { catalogFacts, judgeFacts } from '../../engine/statement/preflight';
import type { Database } from '../../platform/database';
import { LapseError } from '../../platform/errors';
import { query } from '../../platform/query';
import { ask, askOne } from '../../platform/session';
import { permanentTables } from '../../policies';
import type { Policy } from '../../policies/contract';
import { PAGE, type Table, tablesAfter } from './catalog';
import { type Declared, type Finding, judge } from './judge';

/** The catalogs of a few hundred tables; a policy's own facts. */
const STATEMENT_MS = 10_000;
const LIMITS = { statementMs: STATEMENT_MS, readOnly: true };
/** Tables beyond these pages are not looked at, and the look says so. */
const MOST_PAGES = 25;

export async function lookForDrift(
  database: Database,
  declared: Declared,
  inTime: () => boolean = () => true,
  mostPages = MOST_PAGES,
): Promise<Finding[]> {
  const found: Finding[] = [];
  try {
    const { tables, isWhole } = await tablesOf(database, mostPages);
    found.push(...judge(tables, declared, isWhole));
    if (!isWhole) found.push(tooMany(tables.length));
  } catch (error) {
    found.push(unread('data map', error));
  }
  // An index that the preflight asks for as well is reported once.
  const reported = new Set(found.map((f) => f.remedy));
  for (const policy of declared.policies) {
    const problems = inTime() ? await unfit(database, policy) : [late(policy.name)];
    found.push(...problems.filter((f) => !reported.has(f.remedy)));
  }
  return found;
}

async function tablesOf(
  database: Database,
  mostPages: number,
): Promise<{ tables: Table[]; isWhole: boolean }> {
  const tables: Table[] = [];
  for (let page = 0; page < mostPages; page += 1) {
    const found = await askOne(database, tablesAfter(tables.at(-1)?.label ?? ''), LIMITS);
    tables.push(...found);
    if (found.length < PAGE) return { tables, isWhole: true };
  }
  return { tables, isWhole: false };
}

const tooMany = (tables: number): Finding => ({
  kind: 'unread',
  subject: 'data map',
  problem: `only the first ${tables} tables were looked at`,
  remedy: 'remove tables that are not used, or move each tenant to a database of its own',
});

/** What its next run would be refused for. */
async function unfit(database: Database, policy: Policy): Promise<Finding[]> {
  try {
    const facts = query(catalogFacts(policy), (rows) => rows[0]?.facts);
    const { answer } = await ask(database, { answer: facts }, LIMITS);
    return judgeFacts(policy, answer, permanentTables).map(({ problem, remedy }) => ({
      kind: 'policy',
      subject: policy.name,
      problem,
      remedy,
    }));
  } catch (error) {
    return [unread(policy.name, error)];
  }
}

const late = (subject: string): Finding => ({
  kind: 'unread',
  subject,
  problem: `there was no time left to look at ${subject}`,
  remedy: 'call /api/cron/data-quality once more',
});

const unread = (subject: string, error: unknown): Finding => ({
  kind: 'unread',
  subject,
  problem: error instanceof LapseError ? error.message : 'the catalogs could not be read',
  remedy: 'see that lapse_app may connect and read, then call /api/cron/data-quality',
});
