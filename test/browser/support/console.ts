/** The built app on a copy of the scene, and people who look at it, each in a browser window of their own. */
import { randomUUID } from 'node:crypto';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { inject } from 'vitest';
import { type App, freePort, startApp } from '@/lib/dev/demo/app';
import type { Person, Scene } from '@/lib/dev/demo/scene';
import { type TestDatabase, testDatabase } from '../../support/database';
import { DATABASE_NAME } from '../../support/provided';
import { openChromium } from './chromium';

/** How somebody looks: at a desk by day, at a desk at night, at a phone. */
export const LOOKS = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true },
} as const;
export type Look = keyof typeof LOOKS;

export interface Window {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the content policy kept from happening since the window was opened, in any page of it. */
  readonly violations: readonly string[];
  /** Errors of scripts, and answers of 500 or more. */
  readonly faults: readonly string[];
}

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

async function signIn(page: Page, token: string, path = '/'): Promise<void> {
  await page.goto(`/sign-in?back=${encodeURIComponent(path)}`);
  await page.getByLabel('Operator token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: 'Lapse', exact: true }).waitFor();
}

/** A window of its own, with nothing of another's. */
export async function windowOf(
  browser: Browser,
  url: string,
  look: Look,
  javaScriptEnabled: boolean,
): Promise<Window> {
  const context = await browser.newContext({
    ...LOOKS[look],
    baseURL: url,
    javaScriptEnabled,
    locale: 'en-GB',
  });
  const violations: string[] = [];
  const faults: string[] = [];
  // A binding outlives the page that calls it: a violation is not lost with the page that an act left.
  await context.exposeBinding('reportViolation', ({ page }, what: string) => {
    violations.push(`${new URL(page.url()).pathname}: ${what}`);
  });
  await context.addInitScript(() => {
    const report = (globalThis as unknown as { reportViolation(what: string): void }).reportViolation;
    document.addEventListener('securitypolicyviolation', (e) =>
      report(`${e.effectiveDirective} refused ${e.blockedURI} ${e.sample}`),
    );
  });
  const page = await context.newPage();
  page.on('pageerror', (error) => faults.push(`${new URL(page.url()).pathname}: ${error.message}`));
  page.on('response', (r) => {
    if (r.status() >= 500) faults.push(`${r.status()} of ${r.url()}`);
  });
  return { page, context, violations, faults };
}
