import { gzipSync } from 'node:zlib';
import type { Page, Request } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAGES, type PageOf, routes, titleOf } from './pages';
import { type Console, LOOKS, type Look, openConsole, type Window } from './support/console';
import { axeFaults, axeFaultsUnfolded, openAll, settled, sidewaysScroll } from './support/look';

/** Next and React are 131 of them. */
const MOST_SCRIPT_KB = 140;

let c: Console;
const windows = new Map<string, Window>();
beforeAll(async () => {
  c = await openConsole();
});
let most = 0;
afterAll(async () => {
  console.log(`the largest page needs ${most.toFixed(1)} KB of script, gzipped`);
  await c?.stop();
});

/** One window for each person and look: signing in is tested elsewhere. */
async function windowFor({ who = 'alex' }: PageOf, look: Look): Promise<Window> {
  const key = `${who} ${look}`;
  const window = windows.get(key) ?? (await (who === null ? c.open(look) : c.as(who, look)));
  windows.set(key, window);
  return window;
}

/** Opens it; what it returns says which scripts it needed until then, also those that others ask for. */
async function goto(page: Page, of: PageOf): Promise<() => Promise<ReadonlySet<string>>> {
  const scripts = new Set<string>();
  const note = (r: Request) => r.resourceType() === 'script' && scripts.add(r.url());
  page.on('request', note);
  const answer = await page.goto((await of.at?.(c)) ?? of.route);
  expect(answer?.status()).toBe(of.status ?? 200);
  await settled(page);
  return async () => {
    await page.waitForLoadState('networkidle');
    page.off('request', note);
    return scripts;
  };
}

it('every page of app is in the list of pages, and none that is not there', () => {
  expect([...new Set(PAGES.map((p) => p.route))].sort()).toEqual(routes().sort());
});

it('every page is reached by links from the start page', async () => {
  const { context } = await windowFor({ route: '/' }, 'light');
  const all = routes();
  const shapeOf = (path: string): string =>
    all.find((route) => route === path) ??
    all.find((route) => new RegExp(`^${route.replace(/\[\w+\]/g, '[^/]+')}$`).test(path)) ??
    path;
  const seen = new Map<string, string>([['/', '/']]);
  for (const path of seen.values()) {
    const html = await (await context.request.get(path)).text();
    for (const [, href = ''] of html.matchAll(/<a [^>]*href="(\/[^"#]*)"/g)) {
      const to = href.replaceAll('&amp;', '&');
      const shape = shapeOf(to.split('?')[0]!);
      if (!seen.has(shape)) seen.set(shape, to);
    }
  }
  // It is for who is signed out.
  expect(all.filter((route) => !seen.has(route) && route !== '/sign-in')).toEqual([]);
});

describe.each(PAGES.map((p) => [titleOf(p), p] as const))('%s', (_, of) => {
  it.each(Object.keys(LOOKS) as Look[])(
    'has no fault of accessibility, breaks no content policy, does not scroll sideways and needs few scripts: %s',
    async (look) => {
      const window = await windowFor(of, look);
      const { page } = window;
      const scriptsOf = await goto(page, of);
      expect(await axeFaults(page)).toEqual([]);
      expect(await sidewaysScroll(page)).toEqual([]);
      // With everything unfolded that can be.
      if ((await openAll(page)) > 0) {
        expect(await axeFaultsUnfolded(page)).toEqual([]);
        expect(await sidewaysScroll(page)).toEqual([]);
      }
      expect(window.violations).toEqual([]);
      expect(window.faults).toEqual([]);
      // It has been idle meanwhile.
      await fewScripts(await scriptsOf());
    },
  );
});

async function fewScripts(scripts: ReadonlySet<string>): Promise<void> {
  const sizes = await Promise.all([...scripts].map(gzipped));
  const kilobytes = sizes.reduce((sum, n) => sum + n, 0) / 1024;
  // What every page needs is among them.
  expect(kilobytes).toBeGreaterThan(50);
  most = Math.max(most, kilobytes);
  expect(kilobytes).toBeLessThanOrEqual(MOST_SCRIPT_KB);
}

const known = new Map<string, Promise<number>>();

/** Bytes that come over the network when nothing of it is in a cache. */
function gzipped(url: string): Promise<number> {
  const size =
    known.get(url) ??
    fetch(url).then(async (answer) => gzipSync(Buffer.from(await answer.arrayBuffer())).length);
  known.set(url, size);
  return size;
}
