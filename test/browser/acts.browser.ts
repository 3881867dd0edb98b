import type { Locator, Page } from 'playwright-core';
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

/** Opens the page of an act, and its form. */
async function open(page: Page, act: ActOf): Promise<Locator> {
  await page.goto(typeof act.page === 'string' ? act.page : await act.page(c.db));
  await page.waitForLoadState('networkidle');
  if (act.open) await page.getByText(act.open, { exact: true }).first().click();
  return act.form ? page.locator(`#${act.form}`) : page.locator('body');
}

async function fill(form: Locator, act: ActOf): Promise<void> {
  for (const [label, text] of Object.entries((await act.typed?.(c.db)) ?? {}))
    await form.getByLabel(label, { exact: true }).fill(text);
}

/** In the page, as its readers do it. */
async function doIt(page: Page, act: ActOf): Promise<void> {
  const form = await open(page, act);
  await fill(form, act);
  await form.getByRole('button', { name: act.press, exact: true }).click();
  await page.locator('#said').waitFor();
}

const cleanAfter = async (window: Window): Promise<void> => {
  expect(await axeFaults(window.page)).toEqual([]);
  expect(window.violations).toEqual([]);
  expect(window.faults).toEqual([]);
};

/** The chain has an entry of whatever an operator changed. */
const entries = () => c.db.sql('select count(*)::int as n from retention.audit_entry');

describe('every address of an act', () => {
  const routes = actRoutes().filter((route) => !OWN_TESTS.includes(route));

  it('is one that these tests know where it stands here', () => {
    expect(ACTS.map((a) => a.route).filter((route) => !routes.includes(route))).toEqual([]);
    expect(routes.length).toBeGreaterThan(20);
  });

  it('refuses a viewer who posts to it, and changes nothing', async () => {
    const before = await entries();
    const { page } = await c.as('vera');
    for (const route of routes)
      expect([route, (await send(page, `/acts/${route}`, {})).status()]).toEqual([route, 403]);
    expect(await entries()).toEqual(before);
  });

  it('refuses a form of another site, whoever is signed in, and changes nothing', async () => {
    const before = await entries();
    const { page } = await c.as('alex');
    for (const route of routes)
      expect([route, (await sendFromElsewhere(page, `${c.app.url}/acts/${route}`, {})).status()]).toEqual([
        route,
        403,
      ]);
    expect(await entries()).toEqual(before);
  });

  it('leads who is not signed in to the sign-in, and changes nothing', async () => {
    const before = await entries();
    const { page } = await c.open();
    await page.goto('/sign-in');
    for (const route of routes) {
      const answer = await send(page, `/acts/${route}`, {});
      expect([route, answer.status(), answer.headers().location]).toEqual([
        route,
        303,
        expect.stringMatching(/^\/sign-in\?back=/),
      ]);
    }
    expect(await entries()).toEqual(before);
  });
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
    await open(page, act);
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
      const form = await open(page, act);
      await fill(form, act);
      await form.getByLabel(label).fill('another-name');
      const posts: string[] = [];
      page.on('request', (r) => r.method() === 'POST' && posts.push(r.url()));
      await form.getByRole('button', { name: act.press, exact: true }).click();
      expect(await page.locator('input:invalid, textarea:invalid').count()).toBeGreaterThan(0);
      expect(posts).toEqual([]);
      await send(page, path(act), { ...(await act.fields(c.db)), [field]: 'another-name' });
      expect(await page.locator('#said').innerText()).toMatch(refusal);
      expect(
        await page
          .locator(act.form ? `#${act.form}` : 'body')
          .getByLabel(label)
          .inputValue(),
      ).toBe('another-name');
      expect(await act.state(c.db)).toEqual(before);
      await cleanAfter(window);
    },
  );

  it.runIf(act.stale)('is refused when what it was bound to has changed since it was read', async () => {
    await act.before?.(c.db);
    const window = await c.as(act.by);
    const form = await open(window.page, act);
    await fill(form, act);
    const before = await act.state(c.db);
    await act.stale!.change(c.db);
    await form.getByRole('button', { name: act.press, exact: true }).click();
    await window.page.locator('#said').waitFor();
    expect(await window.page.locator('#said').innerText()).toMatch(/Not done/);
    expect(await window.page.locator('#said').innerText()).toMatch(act.stale!.refusal);
    expect(await act.state(c.db)).toEqual(before);
    await cleanAfter(window);
  });

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
      await open(page, { ...act, open: undefined });
      expect(await page.locator(`form[action="${path(act)}"]`).count()).toBe(0);
      const answer = await send(page, path(act), await act.fields(c.db));
      expect(answer.status()).toBe(403);
      expect(await act.state(c.db)).toEqual(before);
    },
  );
});
