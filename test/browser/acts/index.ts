/** Every act that changes something, and the routes that change nothing but what one browser shows. */
import { readdirSync } from 'node:fs';
import type { ActOf } from './act';
import { PEOPLE_ACTS } from './people';
import { ROW_ACTS } from './rows';
import { RUN_ACTS } from './runs';

export const ACTS: readonly ActOf[] = [...RUN_ACTS, ...ROW_ACTS, ...PEOPLE_ACTS];

/** They have tests of their own: sign-in.browser.ts, scripts.browser.ts. */
export const OWN_TESTS: readonly string[] = ['sign-in', 'sign-out', 'theme', 'scripts'];

export const actRoutes = (): string[] =>
  readdirSync('app/acts', { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('/route.ts'))
    .map((file) => file.replace(/\/route\.ts$/, ''));
