/** Without JavaScript every page shows what it shows with it, in the same order: nothing stays behind a "…". */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAGES, titleOf } from './pages';
import { type Console, openConsole } from './support/console';
import { settled, sidewaysScroll } from './support/look';

let c: Console;
let withScripts: Page;
let without: Page;
beforeAll(async () => {
  c = await openConsole();
  withScripts = (await c.as('alex')).page;
  without = (await c.as('alex', 'light', { javaScript: false })).page;
});
afterAll(() => c?.stop());

/** All that can be read, from top to bottom; figures move from one look to the next. */
const words = async (page: Page): Promise<string> =>
  (await page.locator('body').innerText())
    .replace(/\d[\d,.]*( (ms|s|min|h|d|B|kB|MB))?/g, '#')
    .replace(/\s+/g, ' ');

/** What React leaves for a script to put in its place, and what it would put there. */
const unplaced = (page: Page): Promise<number> =>
  page.locator('[data-loading], template[id^="B:"], div[hidden][id^="S:"]').count();

/** What a page throws (404, 403) Next shows by a script: without scripts it is an empty page with its status. */
const SEEN = PAGES.filter((p) => p.who === undefined && p.status === undefined);

describe.each(SEEN.map((p) => [titleOf(p), p] as const))('%s', (_, of) => {
  it('shows without JavaScript what it shows with it', async () => {
    const at = (await of.at?.(c)) ?? of.route;
    await Promise.all([withScripts.goto(at), without.goto(at)]);
    await settled(withScripts);
    expect(await unplaced(without)).toBe(0);
    expect(await words(without)).toBe(await words(withScripts));
    expect((await words(without)).length).toBeGreaterThan(100);
  });
});

it('who turned scripts off after the sign-in is told so, and gets whole pages by one button', async () => {
  const { context } = await c.as('alex');
  const { page, context: later } = await c.open('phone', { javaScript: false });
  await later.addCookies(await context.cookies());
  await page.goto('/attention');
  await page.goto('/');
  expect(await page.locator('header').innerText()).toContain('Scripts are off');
  // Nothing is lost meanwhile: what came late stands at the end.
  expect(await page.locator('body').innerText()).toContain('Past its date, still here');
  expect(await sidewaysScroll(page)).toEqual([]);
  await page.getByRole('button', { name: 'Show pages whole' }).click();
  expect(await page.locator('header').innerText()).not.toContain('Scripts are off');
  expect(await unplaced(page)).toBe(0);
  expect(await page.locator('main').innerText()).toContain('Past its date, still here');
});
