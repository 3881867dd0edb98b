/**
 * What a new installation still has to do before it deletes, from what the database says: its schema, a policy whose table is there, a
 * dry run, a run. Each step has its command. Nothing is asked any more once a policy has run: the page knows that by itself.
 */
import { z } from 'zod';
import { DatabaseError } from '../../platform/errors';
import { oneRow, query } from '../../platform/query';
import { ask } from '../../platform/session';
import { sql, tableLabel } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Services } from '../../services';

export interface FirstStep {
  readonly done: boolean;
  readonly title: string;
  /** What it brings, in a sentence. */
  readonly why: string;
  readonly command: string;
}

const LIMITS = { statementMs: 5_000, readOnly: true } as const;
const Facts = z.object({ tables: z.boolean(), dry: z.boolean(), ran: z.boolean() });
type StepFacts = { readonly schema: boolean } & z.output<typeof Facts>;

/** By the totals that each run is counted in when it ends: a row a policy and kind. */
const factsOf = (policies: readonly Policy[]) =>
  query(
    sql`select coalesce(bool_or(to_regclass(p.label) is not null), false) as tables,
      coalesce(bool_or(exists (select from retention.run_total r where r.policy = p.name and r.mode = 'dry_run')), false) as dry,
      coalesce(bool_or(exists (select from retention.run_total r where r.policy = p.name and r.mode = 'delete')), false) as ran
    from jsonb_to_recordset(${JSON.stringify(policies.map(({ name, table }) => ({ name, label: tableLabel(table) })))}::jsonb) p(name text, label text)`,
    oneRow(Facts),
  );

/** Null: a policy has run, and there is nothing left to begin with. */
export async function firstSteps(
  s: Pick<Services, 'reading' | 'policies'>,
): Promise<readonly FirstStep[] | null> {
  const facts = await readFacts(s);
  return facts.ran ? null : stepsOf(facts, s.policies);
}

/** A database without the schema, or without its roles, refuses to be read: then that is the first step. */
async function readFacts({ reading, policies }: Pick<Services, 'reading' | 'policies'>): Promise<StepFacts> {
  try {
    const { facts } = await ask(reading, { facts: factsOf(policies) }, LIMITS);
    return { schema: true, ...facts };
  } catch (error) {
    if (error instanceof DatabaseError && !MISSING.includes(error.sqlState ?? '')) throw error;
    return { schema: false, tables: false, dry: false, ran: false };
  }
}

/** undefined_table, invalid_schema_name, undefined_object (a role), insufficient_privilege (of a schema that is not open yet). */
const MISSING = ['42P01', '3F000', '42704', '42501'];

function stepsOf({ schema, tables, dry, ran }: StepFacts, policies: readonly Policy[]): readonly FirstStep[] {
  const name = policies[0]?.name ?? '<policy>';
  return [
    {
      done: schema,
      title: 'Give the database Lapse’s own schema',
      why: 'No table of yours is changed.',
      command: 'MIGRATION_DATABASE_URL=… npm run migrate',
    },
    {
      done: tables,
      title: 'Declare a policy for a table of yours',
      why: 'It looks first, and writes only what you choose: policy, route, test and schedule.',
      command: 'MIGRATION_DATABASE_URL=… npm run adopt',
    },
    {
      done: dry || ran,
      title: 'Make a dry run',
      why: 'It counts exactly what would go; the database keeps it from writing. The page of the policy has a button for it.',
      command: `curl -H "Authorization: Bearer $TOKEN" "$LAPSE/api/cron/${name}?dryRun=1"`,
    },
    {
      done: ran,
      title: 'Let it run',
      why: 'The schedule does it each night; the first runs delete 10, 100, 1,000 rows, then all.',
      command: `curl -H "Authorization: Bearer $CRON_SECRET" "$LAPSE/api/cron/${name}"`,
    },
  ];
}
