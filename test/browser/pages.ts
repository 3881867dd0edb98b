/** Every page of the console, and where to find one of each in the scene: a page that is missing here fails the tests. */
import { readdirSync } from 'node:fs';
import type { Person } from '@/lib/dev/demo/scene';
import type { Console } from './support/console';

export interface PageOf {
  /** Its folder below app, without groups. */
  readonly route: string;
  /** What is looked at; the route itself unless given. */
  readonly at?: (console: Console) => string | Promise<string>;
  /** In a sentence, where one route is looked at in several states. */
  readonly when?: string;
  /** Who looks; null: no one is signed in. */
  readonly who?: Person | null;
  /** Also 4xx, where that is what is looked at. */
  readonly status?: number;
}

export const PAGES: readonly PageOf[] = [
  { route: '/' },
  { route: '/sign-in', who: null },
  { route: '/', at: () => '/no-such-page', when: 'nothing is there', status: 404 },
];

export const titleOf = ({ route, when }: PageOf): string => (when ? `${route} when ${when}` : route);

/** What Next serves as pages: a folder in brackets is a group and no part of the address. */
export const routes = (): string[] =>
  readdirSync('app', { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => /(^|\/)page\.tsx$/.test(file))
    .map(
      (file) =>
        `/${file
          .split('/')
          .slice(0, -1)
          .filter((part) => !/^\(.*\)$/.test(part))
          .join('/')}`,
    );
