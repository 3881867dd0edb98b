/** What must work when something else does not: without JavaScript, without Redis, in a tab of an older deployment. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterEach, expect, it } from 'vitest';
import { copyProject } from '@/lib/dev/copy-project';
import { buildIn } from '@/lib/dev/demo/app';
import { type Console, openConsole } from './support/console';

let c: Console | undefined;
afterEach(() => c?.stop());

const stopped = async (of: Console): Promise<boolean> =>
  (await of.db.sql<{ stopped: boolean }>('select stopped from retention.kill_switch'))[0]!.stopped;

async function stopAll(page: Page): Promise<void> {
  await page.getByText('Stop all', { exact: true }).click();
  await page.getByRole('button', { name: 'Stop everything' }).click();
  await page.locator('#said').waitFor();
}

it('without JavaScript one signs in, gets an answer and stops everything', async () => {
  c = await openConsole();
  const { page } = await c.as('anna', 'phone', { javaScript: false });
  expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('Policies');
  await page.getByRole('textbox', { name: /Paste an id/ }).fill(c.scene.ask.deleted);
  await page.getByRole('button', { name: 'Answer' }).click();
  await page
    .getByText(/Deleted on /)
    .first()
    .waitFor();
  await stopAll(page);
  expect(await page.locator('#said').innerText()).toContain('Everything is stopped');
  expect(await stopped(c)).toBe(true);
});

it('without Redis one signs in, reads and stops everything and one policy', async () => {
  // Nothing listens there.
  c = await openConsole({ env: { UPSTASH_REDIS_REST_URL: 'http://127.0.0.1:9/redis' } });
  const { page, faults } = await c.as('anna');
  await page
    .getByRole('cell', { name: 'magic-links' })
    .or(page.getByRole('rowheader', { name: 'magic-links' }))
    .first()
    .waitFor();
  await page.getByRole('button', { name: 'Pause magic-links' }).click();
  await page.locator('#said').waitFor();
  expect(await c.db.sql(`select paused from retention.policy_state where policy = 'magic-links'`)).toEqual([
    { paused: true },
  ]);
  await stopAll(page);
  expect(await stopped(c)).toBe(true);
  expect(faults).toEqual([]);
});

/** It builds the app. */
const BUILD_MS = 400_000;

it(
  'a tab that was left open over a new deployment, of another build, can still stop everything',
  async () => {
    c = await openConsole();
    const { page } = await c.as('anna');
    await page.waitForLoadState('networkidle');
    await page.getByText('Stop all', { exact: true }).click();
    const folder = await mkdtemp(path.join(tmpdir(), 'lapse-deployed-'));
    try {
      copyProject(folder);
      await buildIn(folder);
      await c.restart({}, folder);
      await page.getByRole('button', { name: 'Stop everything' }).click();
      await page.locator('#said').waitFor();
      expect(await stopped(c)).toBe(true);
    } finally {
      await c.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
  BUILD_MS,
);
