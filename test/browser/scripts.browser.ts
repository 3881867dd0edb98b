/** Without JavaScript every page shows what it shows with it, in the same order: nothing stays behind a "…". */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Person } from '@/lib/dev/demo/scene';
import { PAGES, titleOf } from './pages';
import { type Console, openConsole } from './support/console';
import { settled, sidewaysScroll } from './support/look';

let c: Console;
beforeAll(async () => {
  c = await openConsole();
});
afterAll(() => c?.stop());

type Both = readonly [withScripts: Page, without: Page];
const windows = new Map<Person, Promise<Both>>();

/** Two windows for each person: signing in is tested elsewhere. */
function windowsOf(who: Person): Promise<Both> {
  const both =
    windows.get(who) ??
    Promise.all([c.as(who), c.as(who, 'light', { javaScript: false })]).then(
      ([a, b]): Both => [a.page, b.page],
    );
  windows.set(who, both);
  return both;
}

/** All that can be read, from top to bottom; figures move from one look to the next. */
const words = async (page: Page): Promise<string> =>
  (await page.locator('body').innerText())
    .replace(/\d[\d,.]*( (ms|s|min|h|d|B|kB|MB))?/g, '#')
    .replace(/\s+/g, ' ');

/** What React leaves for a script to put in its place, and what it would put there. */
const unplaced = (page: Page): Promise<number> =>
  page.locator('[data-loading], template[id^="B:"], div[hidden][id^="S:"]').count();

const SEEN = PAGES.filter((p) => p.who !== null);

describe.each(SEEN.map((p) => [titleOf(p), p] as const))('%s', (_, of) => {
  it('shows without JavaScript what it shows with it', async () => {
    const at = (await of.at?.(c)) ?? of.route;
    const [withScripts, without] = await windowsOf(of.who ?? 'alex');
    const answers = await Promise.all([withScripts.goto(at), without.goto(at)]);
    expect(answers.map((a) => a?.status())).toEqual([of.status ?? 200, of.status ?? 200]);
    await settled(withScripts);
    expect(await unplaced(without)).toBe(0);
    expect(await words(without)).toBe(await words(withScripts));
    expect((await words(without)).length).toBeGreaterThan(30);
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
