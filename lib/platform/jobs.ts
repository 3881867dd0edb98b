/** Lapse's own jobs with their schedules, and how long a function may take. */

/** The time limit in vercel.json and in the route files: keep the literal in each route equal to this. */
export const MAX_DURATION_SECONDS = 300;

export interface OwnJob {
  readonly name: string;
  readonly schedule: string;
  /** On the Hobby plan. */
  readonly daily: string;
}

/** P9: a breach is paid back within five minutes. Only where an order review is declared. */
export const ORDER_JOB: OwnJob = { name: 'order-review-sla', schedule: '*/5 * * * *', daily: '40 6 * * *' };

/** Lapse's own jobs that every installation has (P10): their routes are written by hand. */
export const OWN_JOBS: readonly OwnJob[] = [
  // After every policy of the night, and soon enough for an erasure: a file waits ten minutes at most.
  { name: 'blob-outbox', schedule: '*/10 * * * *', daily: '50 5 * * *' },
  // By day: it reads much and changes little.
  { name: 'blob-reconcile', schedule: '10,40 9-12 * * *', daily: '10 9 * * *' },
  // What a hold, a running pass or the clock left open.
  { name: 'erasures', schedule: '20 * * * *', daily: '20 6 * * *' },
  // What is past its cutoff. A cutoff moves slowly, so reporting it within an hour is soon enough.
  { name: 'backlog', schedule: '35 * * * *', daily: '35 6 * * *' },
  // By day, when people read; a mail server that was down is tried again within the hour.
  { name: 'notices', schedule: '50 6-20 * * *', daily: '50 6 * * *' },
  // Late and missing runs: often enough to report a skipped order watch before its next run is due.
  { name: 'run-watch', schedule: '*/2 * * * *', daily: '0 7 * * *' },
  // When the night's runs are over: the head that goes to the log covers all of them.
  { name: 'audit-seal', schedule: '55 5 * * *', daily: '55 5 * * *' },
  // What the night left behind, before the working day starts.
  { name: 'data-quality', schedule: '25 6 * * *', daily: '25 6 * * *' },
  // Not urgent: nothing depends on when it runs.
  { name: 'own-records', schedule: '5 7 * * *', daily: '5 7 * * *' },
];

/** Looks whether all others came, and sends what waits to be told. */
export const WATCH_JOB = 'run-watch';
/** Deletes the files of deleted rows. */
export const FILES_JOB = 'blob-outbox';

export const cronPath = (name: string): string => `/api/cron/${name}`;
