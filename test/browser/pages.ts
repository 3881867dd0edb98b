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
const first =
  (path: string, text: string) =>
  async ({ db }: Shown) => {
    const [found] = await db.sql<{ id: string }>(text);
    return `${path}/${found!.id}`;
  };
/** What no one has: what is there is a page that says so. */
const NONE = '5d1c1f4e-0000-4000-8000-000000000000';
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
    at: lastRun("policy = 'quiz-responses' and deleted > 0 and trigger = 'cron'"),
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
  { route: '/attention', picture: 'attention' },
  { route: '/policies/[policy]/approve', at: () => '/policies/artifacts/approve', picture: 'approve' },
  { route: '/policies/[policy]/breaker', at: () => '/policies/webhook-events/breaker' },
  { route: '/policies/[policy]/lock', at: () => '/policies/artifacts/lock' },
  { route: '/policies/[policy]/rollout', at: () => '/policies/artifacts/rollout' },
  { route: '/holds', picture: 'holds' },
  { route: '/holds/new' },
  {
    route: '/holds/[id]',
    at: first('/holds', 'select id from retention.hold where released_at is null limit 1'),
    picture: 'hold',
  },
  { route: '/extensions' },
  { route: '/extensions/new' },
  { route: '/extensions/day' },
  {
    route: '/extensions/end',
    at: async ({ db }) => {
      const [e] = await db.sql<{ table: string; key: string }>(
        'select table_name as "table", row_key as key from retention.extension limit 1',
      );
      return `/extensions/end?${new URLSearchParams(e)}`;
    },
  },
  { route: '/extensions/end', when: 'no extension is named', status: 404 },
  {
    route: '/extensions/day',
    at: () => '/extensions/day?policy=quiz-responses&organization=none-such&day=2020-01-01',
    when: 'it is refused',
  },
  { route: '/erasures', picture: 'erasures' },
  { route: '/erasures/new' },
  {
    route: '/erasures/[id]',
    at: first('/erasures', "select id from retention.erasure where reason = 'request 4715'"),
    picture: 'erasure',
  },
  {
    route: '/erasures/[id]',
    at: first('/erasures', "select id from retention.erasure where state = 'done'"),
    when: 'it is done, with its certificate',
  },
  {
    route: '/erasures/[id]',
    at: first('/erasures', "select id from retention.erasure where state = 'requested'"),
    when: 'it waits for a second person',
  },
  { route: '/erasures/new', at: () => '/erasures/new?scope=user&subject=none-such', when: 'it is refused' },
  { route: '/exports', picture: 'exports' },
  { route: '/exports/new' },
  { route: '/restores', picture: 'restores' },
  { route: '/restores/new' },
  {
    route: '/restores/[id]',
    at: first('/restores', "select id from retention.restore where state = 'requested'"),
    when: 'it waits for a second person',
    picture: 'restore',
  },
  {
    route: '/restores/[id]',
    at: first('/restores', "select id from retention.restore where state = 'done'"),
    when: 'it is done',
  },
  { route: '/restores/[id]', at: () => `/restores/${NONE}`, when: 'there is none', status: 404 },
  { route: '/restores', at: () => '/restores?key=none-such', when: 'no archive holds it' },
  { route: '/orders', picture: 'orders' },
  {
    route: '/orders/[order]',
    at: first('/orders', "select id from orders where status = 'in_review' limit 1"),
  },
  { route: '/letters', picture: 'letters' },
  {
    route: '/letters/[kind]/[id]',
    at: first('/letters/row', 'select id from retention.dead_letter limit 1'),
  },
  { route: '/notices' },
  { route: '/blacklist' },
  { route: '/audit', picture: 'audit' },
  { route: '/reports', picture: 'reports' },
  { route: '/data-map', picture: 'data-map' },
];

export const titleOf = ({ route, when }: PageOf): string => (when ? `${route} when ${when}` : route);

/** Every page that Next serves. */
export const routes = (): string[] => [...pagesOfConsole(), '/sign-in'];
