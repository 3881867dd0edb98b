/** The built app on a copy of the scene, and people who look at it, each in a browser window of their own. */
import { randomUUID } from 'node:crypto';
import type { BrowserContext } from 'playwright-core';
import { inject } from 'vitest';
import { type App, freePort, startApp } from '@/lib/dev/demo/app';
import type { Person, Scene } from '@/lib/dev/demo/scene';
import { createServices, type Services } from '@/lib/services';
import { type TestDatabase, testDatabase } from '../../support/database';
import { DATABASE_NAME } from '../../support/provided';
import { openChromium } from './chromium';
import { type Look, signIn, type Window, windowOf } from './window';

export { LOOKS, type Look, type Window } from './window';

export interface Console {
  readonly app: App;
  readonly db: TestDatabase;
  readonly scene: Scene;
  readonly env: Readonly<Record<string, string>>;
  readonly log: readonly string[];
  /** A window in which no one is signed in. */
  open(look?: Look, options?: { javaScript?: boolean }): Promise<Window>;
  /** A window in which this person is signed in, by the form. */
  as(person: Person, look?: Look, options?: { javaScript?: boolean }): Promise<Window>;
  /** As the app has them: for what no form of the console prepares. */
  readonly services: Services;
  /** The database as it was at first, whatever was done since. */
  again(): Promise<void>;
  /** The app anew at the same address: `more` on top of what it had, from another folder where it was built. */
  restart(more?: Readonly<Record<string, string>>, folder?: string): Promise<void>;
  stop(): Promise<void>;
}

/** `env` on top of the scene's. `empty`: a database with Lapse's schema only, and no rows. */
export async function openConsole(
  options: { env?: Readonly<Record<string, string>>; empty?: boolean } = {},
): Promise<Console> {
  const { database, scene } = inject('scene');
  const [db, browser] = await Promise.all([
    testDatabase(options.empty ? {} : { template: database }),
    openChromium(),
  ]);
  const named = Object.entries(scene.env).map(([key, value]) => [
    key,
    value.replaceAll(DATABASE_NAME, db.name),
  ]);
  const env: Record<string, string> = {
    ...Object.fromEntries(named),
    LAPSE_NAMESPACE: `browser-${randomUUID()}`,
    LOG_LEVEL: 'info',
    ...options.env,
  };
  let services: Services | undefined;
  const log: string[] = [];
  const port = await freePort();
  let app = await startApp(env, port, (line) => log.push(line));
  const windows: BrowserContext[] = [];
  const open: Console['open'] = async (look = 'light', { javaScript = true } = {}) => {
    const window = await windowOf(browser, app.url, look, javaScript);
    windows.push(window.context);
    return window;
  };
  return {
    db,
    scene,
    env,
    log,
    open,
    get app() {
      return app;
    },
    as: async (person, look, how) => {
      const window = await open(look, how);
      await signIn(window.page, scene.tokens[person]);
      return window;
    },
    get services() {
      services ??= createServices(env);
      return services;
    },
    again: () => db.again(options.empty ? undefined : database),
    restart: async (more = {}, folder) => {
      // At once: the connections that a browser keeps open would be waited for.
      await app.stop(true);
      app = await startApp({ ...env, ...more }, port, (line) => log.push(line), folder);
    },
    stop: async () => {
      await Promise.all(windows.map((context) => context.close()));
      await browser.close();
      await app.stop(true);
      await db.stop();
    },
  };
}
