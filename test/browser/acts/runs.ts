/** Stopping and going on, runs by hand, and what lets more be deleted than by itself. */
import { feedBreaker } from '@/lib/engine/guard/breaker';
import { acquire, leaseToken } from '@/lib/engine/run/checkpoint';
import { type ActOf, one, REASON, rows, type World } from './act';

/** As the owner of the database, which needs no token. */
const stopped = rows(`select * from retention.stop_all('maria', '${REASON}')`);
const paused = (policy: string) =>
  rows(`select * from retention.pause_policy('maria', '${REASON}', '${policy}')`);
const switches = rows(`select (select stopped from retention.kill_switch) as stopped,
  array(select policy from retention.policy_state where paused order by 1) as paused`);
const runsOf = (policy: string, mode: string) =>
  rows(
    `select count(*)::int as n from retention.run where policy = '${policy}' and mode = '${mode}' and finished_at is not null`,
  );

const SWITCHES: readonly ActOf[] = [
  {
    ...{ route: 'stop-all', page: '/', form: 'stop-all', by: 'anna', notBy: 'vera' },
    state: switches,
    open: 'Stop all',
    typed: { 'Why (may follow)': REASON },
    press: 'Stop everything',
    says: /Everything is stopped: no batch is running any more/,
    twice: /stopped already/,
  },
  {
    ...{ route: 'resume-all', page: '/', form: 'resume-all', by: 'otto', notBy: 'anna' },
    state: switches,
    prepare: stopped,
    press: 'Let it run again',
    says: /Everything may run again/,
    twice: /Nothing was stopped for all/,
  },
  {
    ...{ route: 'pause', page: '/', form: 'pause-magic-links', by: 'anna', notBy: 'vera' },
    state: switches,
    press: 'Pause magic-links',
    says: /magic-links is paused: no batch of it is running any more/,
    twice: /is paused already/,
  },
  {
    ...{ route: 'resume', page: '/policies/render-jobs', form: 'resume', by: 'otto', notBy: 'anna' },
    state: switches,
    prepare: paused('render-jobs'),
    press: 'Resume render-jobs',
    says: /render-jobs is resumed/,
    twice: /is not paused/,
  },
];

const RUNS: readonly ActOf[] = [
  {
    ...{ route: 'preview', page: '/policies/generated-pdfs', form: 'preview', by: 'otto', notBy: 'anna' },
    state: runsOf('generated-pdfs', 'dry_run'),
    press: 'Dry run of generated-pdfs: reads only',
    says: /The dry run (is over|has begun)/,
    repeats: true,
    twice: /The dry run (is over|has begun|did not begin)/,
  },
  {
    ...{ route: 'run-now', page: '/policies/generated-pdfs/run', form: 'run-now', by: 'otto', notBy: 'anna' },
    state: runsOf('generated-pdfs', 'delete'),
    typed: { Why: REASON },
    typesName: true,
    press: /^Delete up to .* now$/,
    says: /The run (is over|has begun)/,
    // The second finds nothing left, or the first at work.
    repeats: true,
    twice: /The run (is over|has begun|did not begin)/,
  },
];

/** Each version begins with ten rows a run. */
const clean = (n: number) =>
  rows(
    `update retention.policy_version set clean_runs = ${n} where policy = 'magic-links' and superseded_at is null`,
  );
const failedOften = async ({ services: { redis } }: World): Promise<void> => {
  const before = { open: false, secondsLeft: 0, failures: 0 };
  for (let n = 0; n < 3; n += 1)
    await feedBreaker(redis, 'webhook-events', before, { outcome: 'errored', reason: 'database.timeout' });
};

const STEPS: readonly ActOf[] = [
  {
    ...{ route: 'approve', page: '/policies/artifacts/approve', form: 'approve-preview' },
    ...{ by: 'anna', notBy: 'audra' },
    state: rows('select count(*)::int as n from retention.approval'),
    typed: { Reason: REASON },
    typesName: true,
    press: /^Approve [\d,]+ rows$/,
    says: /Approved: the next run of artifacts deletes these [\d,]+ rows/,
    twice: /has approved this preview already/,
    stale: {
      // The time of the preview is over.
      change:
        rows(`update retention.run set preview = jsonb_set(preview, '{approvable,expiresAt}', '"2020-01-01T00:00:00Z"')
        where mode = 'dry_run' and policy = 'artifacts'`),
      refusal: /is not the one you looked at/,
    },
  },
  {
    ...{ route: 'raise-rollout', page: '/policies/magic-links/rollout', form: 'raise-rollout' },
    ...{ by: 'anna', notBy: 'otto' },
    prepare: clean(0),
    state: rows(
      `select clean_runs from retention.policy_version where policy = 'magic-links' and superseded_at is null`,
    ),
    typed: { Reason: REASON },
    typesName: true,
    press: /^Raise to /,
    says: /Raised: the next run of magic-links may delete/,
    twice: /Not done: /,
    stale: { change: clean(1), refusal: /Not done: / },
  },
  {
    ...{ route: 'close-breaker', page: '/policies/webhook-events/breaker', form: 'close-breaker' },
    ...{ by: 'otto', notBy: 'anna' },
    prepare: failedOften,
    state: async ({ db, services: { redis } }) => [
      await redis.get(`${redis.prefix}webhook-events:breaker`),
      await one({ db }, 'select count(*) as entries from retention.audit_entry'),
    ],
    typed: { Reason: REASON },
    press: 'Close the breaker',
    says: /The breaker of webhook-events is closed: its next run tries again/,
    twice: /is closed already/,
  },
  {
    ...{ route: 'release-lock', page: '/policies/documents/lock', form: 'release-lock' },
    ...{ by: 'otto', notBy: 'anna' },
    state: rows(`select fence from retention.policy_state where policy = 'documents'`),
    typed: { Reason: REASON },
    typesName: true,
    press: 'Release the lock',
    says: /The lock of documents is released/,
    // Each moves the fence once more.
    repeats: true,
    twice: /is released/,
    stale: {
      change: ({ services }) =>
        acquire(services.redis, 'documents', leaseToken('5d1c1f4e-0000-4000-8000-000000000000')),
      refusal: /a run of documents is at work/,
    },
  },
];

export const RUN_ACTS: readonly ActOf[] = [...SWITCHES, ...RUNS, ...STEPS];
