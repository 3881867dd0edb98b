/**
 * Data kept on consent goes when the consent is withdrawn (GDPR Art. 7(3), 17(1)(b)): a policy derived from the one that
 * declares it, with its own route, runs, guard rails and receipts, which name the rule. What counts is how the consents are when
 * the batch commits: one that was given again in time keeps the rows. Holds keep them too.
 */
import { id, literal, sql, tableId } from '../platform/sql';
import { definePolicy, hours, type Policy } from './contract';
import { hoursLater } from './next-run';

/** What receipts, reports and lineage call it. */
const CONSENT_RULE = 'consent-withdrawn';
/** Behind the policy itself, and behind its purge. */
const HOURS_LATER = 2;

/** Null unless the policy says that its rows are kept on consent. */
export function consentOf(policy: Policy): Policy | null {
  const { consent, name, table, schedule, strategy } = policy;
  if (!consent) return null;
  const { key, clock, scope, dependants, contents, files, knownTriggers, guard, rollout } = policy;
  const { purpose } = consent;
  return definePolicy({
    name: `${name}-consent`,
    description: `Rows of ${table.name} that are kept on consent to "${purpose.is}" go when it was withdrawn, whatever their age.`,
    justification:
      'Without the consent nothing allows keeping them any longer; one that is given again keeps what is still there.',
    ground: 'GDPR Art. 7(3) and 17(1)(b), consent withdrawn',
    schedule: {
      run: hoursLater(schedule.run, HOURS_LATER),
      ...(schedule.resume ? { resume: hoursLater(schedule.resume, HOURS_LATER) } : {}),
    },
    allowedSeconds: policy.allowedSeconds,
    ...(policy.allowedLatenessSeconds ? { allowedLatenessSeconds: policy.allowedLatenessSeconds } : {}),
    table,
    key,
    clock,
    // Nothing may be kept for a grace period or in an archive: what is masked stays without what is personal.
    strategy: strategy.kind === 'mask' ? strategy : { kind: 'delete' },
    where: withdrawn(policy, consent),
    // The next run takes what was written in the last hour.
    rules: [{ label: CONSENT_RULE, keepFor: hours(1) }],
    scope,
    dependants,
    ...(contents ? { contents } : {}),
    files,
    guard,
    rollout,
    // A row without a clock would never be looked at.
    quality: { emptyClocks: 0, references: [], futureClocks: 1 },
    knownTriggers,
  });
}

/** Withdrawn at least once, and none in force now: who never agreed has withdrawn nothing. */
function withdrawn(
  { scope }: Policy,
  { table, subject, purpose, withdrawnAt, of }: NonNullable<Policy['consent']>,
): string {
  const theirs = sql`select 1 from ${tableId(table)} c where ${id('c', subject)} = ${id('t', (of ?? scope.user)!)}
    and ${id('c', purpose.column)} = ${literal(purpose.is)}`;
  const at = id('c', withdrawnAt);
  return sql`exists (${theirs} and ${at} is not null) and not exists (${theirs} and ${at} is null)`.text.replace(
    /\s+/g,
    ' ',
  );
}
