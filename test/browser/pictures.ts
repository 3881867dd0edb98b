/**
 * `npm run pictures`: takes the pictures of the README and of docs/CONSOLE.md from the built app on the scene of the demo, so that they
 * show what there is: the start page by day and by night, and one of each page. Small: few colors, and no more of a page than
 * one looks at.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Client } from 'pg';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import '../../lib/example/policies'; // the scene is made of them: the pictures go with it
import { build, freePort, startApp } from '../../lib/dev/demo/app';
import type * as Scenes from '../../lib/dev/demo/scene';
import { startLocalCloud } from '../../lib/dev/local-cloud';
import { migrate } from '../../lib/dev/migrate';
import { PAGES, type Shown } from './pages';
import { chromiumPath, HOW_TO_INSTALL, openChromium } from './support/chromium';
import { type Look, signIn, windowOf } from './support/window';

const FOLDER = path.join('docs', 'pictures');
const DATABASE = 'lapse_pictures';
/** What fits on a screen and a half; below it, a page repeats itself. */
const MOST_HEIGHT = 1_500;
/** Of the start page: what a first screen shows. */
const FIRST_SCREEN = 860;
/** Enough for text on plain ground in both looks. */
const COLORS = 48;

if (chromiumPath() === null) {
  console.error(HOW_TO_INSTALL);
  process.exit(1);
}
const cloud = await startLocalCloud({ folder: '.lapse/pictures', durable: false });
try {
  await takeAll();
} finally {
  await cloud.stop();
}
process.exit(0);

async function takeAll(): Promise<void> {
  await cloud.dropDatabase(DATABASE);
  await cloud.createDatabase(DATABASE);
  const ownerUrl = cloud.ownerUrl(DATABASE);
  await migrate(ownerUrl, { sets: ['retention', 'example'], direction: 'up' });
  // Sentry's package shows most of its names to `require` only, and the routes use them.
  const { makeScene } = createRequire(import.meta.url)('../../lib/dev/demo/scene.ts') as typeof Scenes;
  const scene = await makeScene({ ownerUrl, env: cloud.env(DATABASE), now: new Date(), say: console.log });
  await build(console.log);
  const app = await startApp({ ...scene.env }, await freePort(), () => undefined);
  const [owner, browser] = [new Client(ownerUrl), await openChromium()];
  try {
    await owner.connect();
    const sql: Shown['db']['sql'] = async <R extends Record<string, unknown>>(text: string) =>
      (await owner.query<R>(text)).rows;
    rmSync(FOLDER, { recursive: true, force: true });
    mkdirSync(FOLDER, { recursive: true });
    await take(browser, app.url, { scene, db: { sql } });
  } finally {
    await Promise.all([browser.close(), owner.end()]);
    await app.stop(true);
  }
}

async function take(browser: Browser, url: string, shown: Shown): Promise<void> {
  const look = async (how: Look, token: string | null) => {
    const { page } = await windowOf(browser, url, how, true);
    if (token !== null) await signIn(page, token);
    return page;
  };
  const [day, night, stranger] = [
    await look('light', shown.scene.tokens.alex),
    await look('dark', shown.scene.tokens.alex),
    await look('light', null),
  ];
  for (const of of PAGES.filter((p) => p.picture !== undefined)) {
    const at = (await of.at?.(shown)) ?? of.route;
    await picture(of.who === null ? stranger : day, at, `${of.picture}.png`, MOST_HEIGHT);
  }
  await picture(day, '/', 'console-light.png', FIRST_SCREEN);
  await picture(night, '/', 'console-dark.png', FIRST_SCREEN);
}

async function picture(page: Page, at: string, name: string, most: number): Promise<void> {
  await page.goto(at);
  await page.waitForLoadState('networkidle');
  const whole = await page.screenshot({ fullPage: true, animations: 'disabled', caret: 'hide' });
  const { width, height } = await sharp(whole).metadata();
  const { size } = await sharp(whole)
    .extract({ left: 0, top: 0, width, height: Math.min(height, most) })
    .png({ palette: true, colors: COLORS, dither: 0, effort: 10, compressionLevel: 9 })
    .toFile(path.join(FOLDER, name));
  console.log(`${name}: ${Math.round(size / 1024)} KB, ${at}`);
}
