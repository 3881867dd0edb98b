import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Console, openConsole } from './support/console';

let c: Console;
beforeAll(async () => {
  c = await openConsole();
});
afterAll(() => c?.stop());

/** What has the focus, in words, and whether one sees that it has. */
const focused = (page: Page) =>
  page.evaluate(() => {
    const e = document.activeElement as HTMLElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(e);
    const { width, height, top } = e.getBoundingClientRect();
    return {
      words: (e.getAttribute('aria-label') ?? e.innerText ?? '').trim(),
      isSeen:
        outlineStyle !== 'none' &&
        Number.parseFloat(outlineWidth) >= 2 &&
        width > 1 &&
        height > 1 &&
        top >= 0,
    };
  });

/** Presses Tab until this has the focus; every stop on the way must be seen. */
async function tabTo(page: Page, words: string): Promise<string[]> {
  const passed: string[] = [];
  for (let n = 0; n < 60; n += 1) {
    await page.keyboard.press('Tab');
    const now = await focused(page);
    expect(now, `after ${passed.join(' → ')}`).toMatchObject({ isSeen: true });
    passed.push(now.words);
    if (now.words === words) return passed;
  }
  throw new Error(`${words} was not reached: ${passed.join(' → ')}`);
}

it('everything is stopped by the keyboard alone, early on the page, with the focus always in sight', async () => {
  const { page } = await c.as('anna');
  const passed = await tabTo(page, 'Stop all');
  expect(passed[0]).toBe('Skip to content');
  // Before any row of the page.
  expect(passed.length).toBeLessThanOrEqual(16);
  await page.keyboard.press('Enter');
  await tabTo(page, 'Stop everything');
  await page.keyboard.press('Enter');
  await page.locator('#said').waitFor();
  expect(await c.db.sql('select stopped from retention.kill_switch')).toEqual([{ stopped: true }]);
});

it('the link in front skips the bar', async () => {
  const { page } = await c.as('vera');
  // With everything on it that comes behind the frame.
  await page.waitForLoadState('networkidle');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.closest('main') !== null)).toBe(true);
});

it('no single key acts', async () => {
  const { page } = await c.as('alex');
  await page.waitForLoadState('networkidle');
  const posts: string[] = [];
  page.on('request', (r) => r.method() === 'POST' && posts.push(r.url()));
  for (const key of 'abcdefghijklmnopqrstuvwxyz/?123') await page.keyboard.press(key);
  await page.keyboard.press('Enter');
  await page.keyboard.press('Escape');
  expect(posts).toEqual([]);
});

it('Enter in a typed form sends nothing until the name is right', async () => {
  const { page } = await c.as('otto');
  await c.db.sql(`select * from retention.resume_all('audra', 'a test of the browser')`);
  await page.goto('/policies/render-jobs/run');
  const posts: string[] = [];
  page.on('request', (r) => r.method() === 'POST' && posts.push(r.url()));
  await page.getByLabel('Why', { exact: true }).fill('a test of the browser');
  await page.getByLabel('Type render-jobs to confirm').fill('render-job');
  await page.keyboard.press('Enter');
  expect(posts).toEqual([]);
  await page.keyboard.type('s');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/runs/**');
  expect(posts).toHaveLength(1);
});
