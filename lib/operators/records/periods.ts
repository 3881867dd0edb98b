/**
 * How long Lapse keeps its own records (P10), in days, and what happens to them then. The database keeps each kind
 * at least as long as it says itself (migrations/functions/records.sql).
 */
export interface OwnRecords {
  readonly kind: string;
  readonly keepDays: number;
  /** In plain words, for docs/DATA-MODEL.md. */
  readonly what: string;
}

/** Thirteen months: every yearly comparison, and longer than any cooling-off. */
const THIRTEEN_MONTHS = 400;

export const OWN_RECORDS: readonly OwnRecords[] = [
  // A name may hold a person's; a month is enough to answer for a deletion.
  {
    kind: 'file_names',
    keepDays: 30,
    what: 'names of files that are gone or kept: replaced by their SHA-256',
  },
  { kind: 'outbox', keepDays: THIRTEEN_MONTHS, what: 'settled entries of the outbox' },
  { kind: 'letters', keepDays: THIRTEEN_MONTHS, what: 'dead letters that were resolved' },
  { kind: 'alerts', keepDays: THIRTEEN_MONTHS, what: 'deliveries of alerts of incidents that are over' },
  { kind: 'incidents', keepDays: THIRTEEN_MONTHS, what: 'incidents that are over' },
  { kind: 'findings', keepDays: 90, what: 'findings of the reconciliation that are settled' },
  { kind: 'scans', keepDays: THIRTEEN_MONTHS, what: 'scans of the store, but the latest' },
  { kind: 'tenant_totals', keepDays: THIRTEEN_MONTHS, what: 'totals of each run by organization' },
  { kind: 'past_periods', keepDays: THIRTEEN_MONTHS, what: 'periods of organizations that ended' },
  { kind: 'past_labels', keepDays: THIRTEEN_MONTHS, what: 'tiers of organizations that ended' },
  { kind: 'order_steps', keepDays: THIRTEEN_MONTHS, what: 'escalation steps of order reviews' },
  { kind: 'notices', keepDays: THIRTEEN_MONTHS, what: 'notices that were delivered or given up' },
  { kind: 'link_uses', keepDays: 30, what: 'uses of signed links that have expired since' },
  { kind: 'dry_runs', keepDays: 90, what: 'dry runs that were not approved' },
  { kind: 'idle_runs', keepDays: THIRTEEN_MONTHS, what: 'runs that deleted nothing' },
];

/** Receipts, kept longest: seven years, as evidence of what is gone for good. The audit chain is never trimmed. */
export const EVIDENCE_DAYS = 2_557;
