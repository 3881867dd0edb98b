/** Every act of the console, with a form that does it in the scene, and what the database says of it: a route that is missing here fails the tests. */
import { readdirSync } from 'node:fs';
import type { Person } from '@/lib/dev/demo/scene';
import type { TestDatabase } from '../support/database';

export interface ActOf {
  /** Its folder below app/acts. */
  readonly route: string;
  /** The page whose form it is. */
  readonly page: string;
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
  /** What to do in the page until the form is visible, and what to press. */
  readonly open?: string;
  readonly press: string;
  /** The words of the answer. */
  readonly says: RegExp;
  /** What the answer says when it is done a second time. */
  readonly twice: RegExp;
}

const switches = (db: TestDatabase) =>
  db.sql(
    'select (select stopped from retention.kill_switch) as stopped, array(select policy from retention.policy_state where paused order by 1) as paused',
  );

const SWITCHES: readonly ActOf[] = [
  {
    route: 'stop-all',
    page: '/',
    by: 'anna',
    notBy: 'vera',
    fields: async () => ({}),
    state: switches,
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
    before: (db) => db.sql(`select * from retention.stop_all('maria', 'a test')`),
    press: 'Let everything run',
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
    press: 'Pause magic-links',
    says: /magic-links is paused: no batch of it is running any more/,
    twice: /is paused already/,
  },
  {
    route: 'resume',
    page: '/',
    by: 'otto',
    notBy: 'anna',
    fields: async () => ({ policy: 'render-jobs' }),
    state: switches,
    before: (db) => db.sql(`select * from retention.pause_policy('maria', 'a test', 'render-jobs')`),
    press: 'Resume render-jobs',
    says: /render-jobs is resumed/,
    twice: /is not paused/,
  },
];

export const ACTS: readonly ActOf[] = [...SWITCHES];

/** Change nothing but what this browser shows: they have tests of their own. */
export const OWN_TESTS: readonly string[] = ['sign-in', 'sign-out', 'theme'];

export const actRoutes = (): string[] =>
  readdirSync('app/acts', { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('/route.ts'))
    .map((file) => file.replace(/\/route\.ts$/, ''));
