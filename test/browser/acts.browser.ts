import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACTS, type ActOf, actRoutes, OWN_TESTS } from './acts';
import { type Console, openConsole, type Window } from './support/console';
import { axeFaults } from './support/look';
import { send, sendFromElsewhere } from './support/send';

let c: Console;
beforeAll(async () => {
  c = await openConsole();
});
afterAll(() => c?.stop());

const path = ({ route }: ActOf): string => `/acts/${route}`;

/** In the page, as its readers do it. */
async function doIt(page: Page, act: ActOf): Promise<void> {
  await page.goto(act.page);
  await page.waitForLoadState('networkidle');
  if (act.open) await page.getByText(act.open, { exact: true }).first().click();
  for (const [label, text] of Object.entries(act.typed ?? {}))
    await page.getByLabel(label, { exact: true }).fill(text);
  await page.getByRole('button', { name: act.press, exact: true }).click();
  await page.locator('#said').waitFor();
}

const cleanAfter = async (window: Window): Promise<void> => {
  expect(await axeFaults(window.page)).toEqual([]);
  expect(window.violations).toEqual([]);
  expect(window.faults).toEqual([]);
};

it('every act of app is in the list of acts, and none that is not there', () => {
  expect([...ACTS.map((a) => a.route), ...OWN_TESTS].sort()).toEqual(actRoutes().sort());
});

describe.each(ACTS.map((a) => [a.route, a] as const))('%s', (_, act) => {
  it('is done by its button, says so, and breaks no content policy', async () => {
    await act.before?.(c.db);
    const before = await act.state(c.db);
    const window = await c.as(act.by);
    await doIt(window.page, act);
    expect(await window.page.locator('#said').innerText()).toMatch(act.says);
    // What goes on behind the answer is done a little later.
    await expect.poll(() => act.state(c.db), { timeout: 20_000 }).not.toEqual(before);
    await cleanAfter(window);
  });

  it('done twice, is done once, and says what is so', async () => {
    await act.before?.(c.db);
    const fields = await act.fields(c.db);
    const { page } = await c.as(act.by);
    await page.goto(act.page);
    await send(page, path(act), fields);
    const after = await act.state(c.db);
    const answer = await send(page, path(act), fields);
    expect(answer.status()).toBe(303);
    expect(await page.locator('#said').innerText()).toMatch(act.twice);
    if (!act.repeats) expect(await act.state(c.db)).toEqual(after);
  });

  it.runIf(act.confirm)(
    'is refused with a wrong name, by the browser and by the server, and what was typed is kept',
    async () => {
      await act.before?.(c.db);
      const before = await act.state(c.db);
      const window = await c.as(act.by);
      const { page } = window;
      const { field, label, refusal } = act.confirm!;
      await page.goto(act.page);
      for (const [name, text] of Object.entries(act.typed ?? {}))
        await page.getByLabel(name, { exact: true }).fill(text);
      await page.getByLabel(label, { exact: true }).fill('another-name');
      const posts: string[] = [];
      page.on('request', (r) => r.method() === 'POST' && posts.push(r.url()));
      await page.getByRole('button', { name: act.press, exact: true }).click();
      expect(await page.locator('input:invalid, textarea:invalid').count()).toBeGreaterThan(0);
      expect(posts).toEqual([]);
      await send(page, path(act), { ...(await act.fields(c.db)), [field]: 'another-name' });
      expect(await page.locator('#said').innerText()).toMatch(refusal);
      expect(await page.getByLabel(label, { exact: true }).inputValue()).toBe('another-name');
      expect(await act.state(c.db)).toEqual(before);
      await cleanAfter(window);
    },
  );

  it('is refused from another site, and nothing is changed', async () => {
    await act.before?.(c.db);
    const before = await act.state(c.db);
    const { page } = await c.as(act.by);
    const answer = await sendFromElsewhere(page, `${c.app.url}${path(act)}`, await act.fields(c.db));
    expect(answer.status()).toBe(403);
    expect(await act.state(c.db)).toEqual(before);
  });

  it('is refused to who is not signed in, who is led to the sign-in', async () => {
    await act.before?.(c.db);
    const before = await act.state(c.db);
    const { page } = await c.open();
    await page.goto('/sign-in');
    const answer = await send(page, path(act), await act.fields(c.db));
    expect([answer.status(), answer.headers().location]).toEqual([
      303,
      expect.stringMatching(/^\/sign-in\?back=/),
    ]);
    expect(await act.state(c.db)).toEqual(before);
  });

  it.runIf(act.notBy)(
    'is not offered to a role that may not, and refused to it when it posts all the same',
    async () => {
      await act.before?.(c.db);
      const before = await act.state(c.db);
      const { page } = await c.as(act.notBy!);
      await page.goto(act.page);
      expect(await page.locator(`form[action="${path(act)}"]`).count()).toBe(0);
      const answer = await send(page, path(act), await act.fields(c.db));
      expect(answer.status()).toBe(403);
      expect(await act.state(c.db)).toEqual(before);
    },
  );
});
