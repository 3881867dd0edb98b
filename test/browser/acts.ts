/**
 * Acts as their readers do them: the form that does each in the scene, and what the database says of it. Every route of an act, whether
 * it is here or not, is posted to from elsewhere and by who may not (acts.browser.ts).
 */
import { readdirSync } from 'node:fs';
import type { Person } from '@/lib/dev/demo/scene';
import type { TestDatabase } from '../support/database';

export interface ActOf {
  /** Its folder below app/acts. */
  readonly route: string;
  /** The page whose form it is. */
  readonly page: string | ((db: TestDatabase) => Promise<string>);
  /** The id of the form, where a page has several of its words. */
  readonly form?: string;
  /** Who may. */
  readonly by: Person;
  /** Who may not; null where everyone may who is signed in. */
  readonly notBy: Person | null;
  /** Its fields, for those who post without the page. */
  readonly fields: (db: TestDatabase) => Promise<Readonly<Record<string, string>>>;
  /** What it changes: another text after it than before. */
  readonly state: (db: TestDatabase) => Promise<unknown>;
  /** Before it can be done. */
  readonly before?: (db: TestDatabase) => Promise<unknown>;
  /** What has to be typed, by its label: the name that confirms it, and why. */
  readonly typed?: (db: TestDatabase) => Promise<Readonly<Record<string, string>>>;
  /** What the form stands for changes after it was read; and the words of the refusal. */
  readonly stale?: { readonly change: (db: TestDatabase) => Promise<unknown>; readonly refusal: RegExp };
  /** The field that must hold a name, letter by letter, and the words of the refusal. */
  readonly confirm?: { readonly field: string; readonly label: RegExp; readonly refusal: RegExp };
  /** What to do in the page until the form is visible, and what to press. */
  readonly open?: string;
  readonly press: string | RegExp;
  /** The words of the answer. */
  readonly says: RegExp;
  /** Done twice, there are two of it. */
  readonly repeats?: boolean;
  /** What the answer says when it is done a second time. */
  readonly twice: RegExp;
}

const REASON = 'a test of the browser';

/** As the owner of the database, which needs no token. */
const stopped = (db: TestDatabase) => db.sql(`select * from retention.stop_all('maria', '${REASON}')`);
const resumed = (db: TestDatabase) => db.sql(`select * from retention.resume_all('audra', '${REASON}')`);
const paused = (policy: string) => (db: TestDatabase) =>
  db.sql(`select * from retention.pause_policy('maria', '${REASON}', '${policy}')`);
const going = (policy: string) => (db: TestDatabase) =>
  db.sql(`select * from retention.resume_policy('audra', '${REASON}', '${policy}')`);
const switches = (db: TestDatabase) =>
  db.sql(`select (select stopped from retention.kill_switch) as stopped,
    array(select policy from retention.policy_state where paused order by 1) as paused`);
const runsOf = (policy: string, mode: string) => (db: TestDatabase) =>
  db.sql(
    `select count(*)::int as n from retention.run where policy = '${policy}' and mode = '${mode}' and finished_at is not null`,
  );

const SWITCHES: readonly ActOf[] = [
  {
    route: 'stop-all',
    page: '/',
    by: 'anna',
    notBy: 'vera',
    fields: async () => ({}),
    state: switches,
    before: resumed,
    open: 'Stop all',
    press: 'Stop everything',
    says: /Everything is stopped: no batch is running any more/,
    twice: /stopped already/,
  },
  {
    route: 'resume-all',
    page: '/',
    by: 'otto',
    notBy: 'anna',
    fields: async () => ({}),
    state: switches,
    before: stopped,
    press: 'Let it run again',
    says: /Everything may run again/,
    twice: /Nothing was stopped for all/,
  },
  {
    route: 'pause',
    page: '/',
    by: 'anna',
    notBy: 'vera',
    fields: async () => ({ policy: 'magic-links' }),
    state: switches,
    before: going('magic-links'),
    press: 'Pause magic-links',
    says: /magic-links is paused: no batch of it is running any more/,
    twice: /is paused already/,
  },
  {
    route: 'resume',
    page: '/policies/render-jobs',
    by: 'otto',
    notBy: 'anna',
    fields: async () => ({ policy: 'render-jobs' }),
    state: switches,
    before: paused('render-jobs'),
    press: 'Resume render-jobs',
    says: /render-jobs is resumed/,
    twice: /is not paused/,
  },
];

const RUNS: readonly ActOf[] = [
  {
    route: 'preview',
    page: '/policies/generated-pdfs',
    by: 'otto',
    notBy: 'anna',
    fields: async () => ({ policy: 'generated-pdfs' }),
    state: runsOf('generated-pdfs', 'dry_run'),
    press: 'Dry run of generated-pdfs: reads only',
    says: /The dry run (is over|has begun)/,
    before: resumed,
    repeats: true,
    twice: /The dry run (is over|has begun)/,
  },
  {
    route: 'run-now',
    page: '/policies/generated-pdfs/run',
    by: 'otto',
    notBy: 'anna',
    fields: async () => ({ policy: 'generated-pdfs', confirm: 'generated-pdfs', reason: REASON }),
    state: runsOf('generated-pdfs', 'delete'),
    typed: async () => ({ 'Type generated-pdfs to confirm': 'generated-pdfs', Why: REASON }),
    confirm: {
      field: 'confirm',
      label: /^Type .* to confirm$/,
      refusal: /type generated-pdfs, letter by letter/,
    },
    press: /^Delete up to .* now$/,
    says: /The run (is over|has begun)/,
    // The second finds nothing left, or the first at work.
    before: resumed,
    repeats: true,
    twice: /The run (is over|has begun|did not begin)/,
  },
];

const one = async (db: TestDatabase, text: string): Promise<Record<string, string>> =>
  (await db.sql<Record<string, string>>(text))[0]!;
const preview = (db: TestDatabase) =>
  one(
    db,
    `select preview->'approvable'->>'digest' as digest from retention.run where policy = 'artifacts' and mode = 'dry_run' order by started_at desc limit 1`,
  );
const hold = (db: TestDatabase) =>
  one(db, 'select id, reason from retention.hold order by placed_at limit 1');
const letter = (db: TestDatabase) => one(db, `select id from retention.dead_letter limit 1`);

const DECISIONS: readonly ActOf[] = [
  {
    route: 'approve',
    page: '/policies/artifacts/approve',
    form: 'approve-preview',
    by: 'anna',
    notBy: 'vera',
    fields: async (db) => ({
      policy: 'artifacts',
      confirm: 'artifacts',
      reason: REASON,
      ...(await preview(db)),
    }),
    state: (db) => db.sql('select count(*)::int as n from retention.approval'),
    before: async (db) => {
      await resumed(db);
      // A preview is approved once.
      await db.sql('delete from retention.approval');
    },
    typed: async () => ({ 'Type artifacts to confirm': 'artifacts', Reason: REASON }),
    confirm: { field: 'confirm', label: /^Type .* to confirm$/, refusal: /artifacts/ },
    stale: {
      // The time of the preview is over.
      change: (db) =>
        db.sql(`update retention.run set preview = jsonb_set(preview, '{approvable,expiresAt}', '"2020-01-01T00:00:00Z"')
          where mode = 'dry_run' and policy = 'artifacts'`),
      refusal: /is not the one you looked at/,
    },
    press: /^Approve [\d,]+ rows$/,
    says: /Approved: the next run of artifacts deletes these [\d,]+ rows/,
    twice: /has approved this preview already/,
  },
  {
    route: 'release-hold',
    page: async (db) => `/holds/${(await hold(db)).id}`,
    form: 'release-hold',
    by: 'anna',
    notBy: 'otto',
    fields: async (db) => {
      const { id, reason } = await hold(db);
      return { id: id!, confirm: reason!, reason: REASON };
    },
    state: (db) => db.sql('select count(*)::int as n from retention.hold where released_at is not null'),
    before: (db) =>
      db.sql('update retention.hold set released_at = null, released_by = null, release_reason = null'),
    typed: async (db) => {
      const { reason } = await hold(db);
      return { [`Type ${reason} to confirm`]: reason!, Reason: REASON };
    },
    confirm: { field: 'confirm', label: /^Type .* to confirm$/, refusal: /HOLD-12/ },
    press: /^Release /,
    says: /Released: what ".*" kept may go at the next run/,
    twice: /has released this hold already/,
  },
  {
    route: 'assign-letter',
    page: async (db) => `/letters/row/${(await letter(db)).id}`,
    form: 'assign-letter',
    by: 'otto',
    notBy: 'anna',
    fields: async (db) => ({ kind: 'row', id: (await letter(db)).id!, to: 'maria', reason: REASON }),
    state: (db) => db.sql('select assigned_to from retention.dead_letter'),
    before: (db) => db.sql('update retention.dead_letter set assigned_to = null'),
    typed: async () => ({ Operator: 'maria', Reason: REASON }),
    press: 'Assign',
    says: /maria looks after it now/,
    twice: /maria looks after it already/,
  },
];

export const ACTS: readonly ActOf[] = [...SWITCHES, ...RUNS, ...DECISIONS];

/** Change nothing but what this browser shows: they have tests of their own. */
export const OWN_TESTS: readonly string[] = ['sign-in', 'sign-out', 'theme', 'scripts'];

export const actRoutes = (): string[] =>
  readdirSync('app/acts', { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('/route.ts'))
    .map((file) => file.replace(/\/route\.ts$/, ''));
