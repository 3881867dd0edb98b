/** Every page of the console, and where to find one of each in the scene: a page that is missing here fails the tests. */

import type { Person, Scene } from '@/lib/dev/demo/scene';
import { pagesOfConsole } from '@/lib/dev/scale/pages';

/** Where one of each page is found. */
export interface Shown {
  readonly db: { sql<R extends Record<string, unknown>>(text: string): Promise<R[]> };
  readonly scene: Scene;
}

export interface PageOf {
  /** Its folder below app, without groups. */
  readonly route: string;
  /** What is looked at; the route itself unless given. */
  readonly at?: (shown: Shown) => string | Promise<string>;
  /** In a sentence, where one route is looked at in several states. */
  readonly when?: string;
  /** Who looks; null: no one is signed in. */
  readonly who?: Person | null;
  /** Its picture: docs/pictures/<name>.png. */
  readonly picture?: string;
  /** Also 4xx, where that is what is looked at. */
  readonly status?: number;
}

const lastRun =
  (where: string) =>
  async ({ db }: Shown) => {
    const [run] = await db.sql<{ id: string }>(
      `select id from retention.run where ${where} order by started_at desc limit 1`,
    );
    return `/runs/${run!.id}`;
  };
const asked = (which: keyof Scene['ask']) => (c: Shown) => `/why?id=${c.scene.ask[which]}`;
const inDays = (days: number) => () =>
  `/calendar/${new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)}`;

export const PAGES: readonly PageOf[] = [
  { route: '/', picture: 'policies' },
  { route: '/', who: 'vera', when: 'a viewer looks' },
  { route: '/', at: () => '/no-such-page', when: 'nothing is there', status: 404 },
  { route: '/sign-in', who: null, picture: 'sign-in' },
  {
    route: '/policies/[policy]',
    at: () => '/policies/artifacts',
    when: 'the guard has stopped it',
    picture: 'policy',
  },
  { route: '/policies/[policy]', at: () => '/policies/quiz-responses?days=10', when: 'asked what if' },
  { route: '/policies/[policy]/run', at: () => '/policies/render-jobs/run', picture: 'run-now' },
  {
    route: '/policies/[policy]/run',
    at: () => '/policies/render-jobs/run',
    who: 'vera',
    when: 'the role is missing',
    status: 403,
  },
  {
    route: '/runs/[run]',
    at: lastRun("policy = 'quiz-responses' and deleted > 0"),
    when: 'it deleted',
    picture: 'run',
  },
  { route: '/runs/[run]', at: lastRun("outcome = 'errored'"), when: 'it failed' },
  {
    route: '/runs/[run]',
    at: lastRun("mode = 'dry_run' and policy = 'artifacts'"),
    when: 'it was a dry run',
  },
  { route: '/calendar', picture: 'calendar' },
  { route: '/calendar/[day]', at: inDays(3), picture: 'day' },
  { route: '/why' },
  { route: '/why', at: asked('deleted'), when: 'the row is gone' },
  { route: '/why', at: asked('held'), when: 'a hold keeps the row', picture: 'why' },
  { route: '/why', at: asked('guarded'), when: 'the guard keeps the row' },
  { route: '/why', at: () => '/why?id=5d1c1f4e-0000-4000-8000-000000000000', when: 'no one knows the id' },
  { route: '/audit', picture: 'audit' },
  { route: '/reports', picture: 'reports' },
  { route: '/data-map', picture: 'data-map' },
];

export const titleOf = ({ route, when }: PageOf): string => (when ? `${route} when ${when}` : route);

/** Every page that Next serves. */
export const routes = (): string[] => [...pagesOfConsole(), '/sign-in'];
