/** What people write, and how much there is of it: no page grows wider than its window, and what is open is in sight. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Console, openConsole } from './support/console';
import { settled, sidewaysScroll } from './support/look';

/** In several scripts, one of them from the right, and a word that no line can hold. */
const CASE = `HOLD-99 קייס 🛑 مرحبا ${'x'.repeat(400)}`;
const TABLE = `${'s'.repeat(63)}.${'t'.repeat(63)}`;
const NARROW = 320;
const WIDE = 1280;

let c: Console;
let hold: string;
beforeAll(async () => {
  c = await openConsole();
  // Nine digits, wherever a number of rows is shown.
  await c.db.sql(`update retention.backlog set waiting = 123456789`);
  await c.db.sql(
    `insert into retention.dead_letter (policy, table_name, row_key, sql_state, state, attempts, next_attempt_at)
     values ('${'p'.repeat(60)}', '${TABLE}', '${'k'.repeat(300)}', 'P0001', 'open', 1, now())`,
  );
  const { page } = await c.as('otto', 'phone');
  const [rows] = await c.db.sql<{ id: string }>(
    'select organization_id as id from quiz_responses where organization_id is not null order by 1 limit 1',
  );
  await page.goto('/holds/new');
  await page.getByLabel('Id').fill(rows!.id);
  await page.getByLabel('Reason').fill(CASE);
  await page.getByRole('button', { name: 'Place the hold' }).dblclick();
  await page.locator('#said').waitFor();
  hold = new URL(page.url()).pathname;
});
afterAll(() => c?.stop());

/** Of the window as it is now. */
async function fits(page: Page, width: number): Promise<void> {
  await page.setViewportSize({ width, height: 844 });
  for (const path of ['/', '/holds', hold, '/audit', '/letters', '/attention', '/calendar', '/reports']) {
    await page.goto(path);
    await settled(page);
    expect([width, path, await sidewaysScroll(page)]).toEqual([width, path, []]);
  }
}

it('no page is wider than a small phone or a desk, however long the words and numbers on it', async () => {
  const { page } = await c.as('alex');
  await fits(page, NARROW);
  await fits(page, WIDE);
});

it('a form that is sent by a double click is done once, and what was written is released as it is read', async () => {
  const placed = await c.db.sql(`select id from retention.hold where reason like 'HOLD-99%'`);
  expect(placed).toHaveLength(1);
  await c.db.sql(`update retention.hold set reason = 'case  7 of' || chr(160) || 'Jane' where id = $1`, [
    placed[0]!.id,
  ]);
  const { page } = await c.as('anna');
  await page.goto(hold);
  const release = page.locator('#release-hold');
  await release.getByLabel(/^Type case/).fill('case 7 of Jane');
  await release.getByLabel('Reason').fill('closed');
  await release.getByRole('button').click();
  await page.locator('#said').waitFor();
  expect(await page.locator('#said').innerText()).toContain('Released');
});

it('on a phone the page that is open is in sight among the others', async () => {
  const { page } = await c.as('alex', 'phone');
  for (const [path, name] of [
    ['/data-map', 'Data map'],
    ['/audit', 'Audit'],
    ['/', 'Policies'],
  ] as const) {
    await page.goto(path);
    await settled(page);
    const link = page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name });
    const box = await link.boundingBox();
    expect([name, (box?.x ?? -1) >= 0, (box?.x ?? 0) + (box?.width ?? 0) <= 390]).toEqual([name, true, true]);
  }
});
