/** A preview deployment may look into production's database: nothing that deletes is offered there, and nothing is accepted. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACTS } from './acts';
import { PAGES, titleOf } from './pages';
import { type Console, openConsole, type Window } from './support/console';
import { axeFaults, openAll, sidewaysScroll } from './support/look';
import { send } from './support/send';

/** A dry run reads only. */
const READS_ONLY = ['preview'];

let c: Console;
let window: Window;
beforeAll(async () => {
  c = await openConsole({ env: { VERCEL_ENV: 'preview' } });
  window = await c.as('alex');
});
afterAll(() => c?.stop());

const SEEN = PAGES.filter((p) => p.who !== null && p.status === undefined && p.who !== 'vera');

describe.each(SEEN.map((p) => [titleOf(p), p] as const))('%s', (_, of) => {
  it('says that it is a preview, shows nothing red, and offers no act that changes anything', async () => {
    const { page } = window;
    await page.goto((await of.at?.(c)) ?? of.route);
    await openAll(page);
    expect(await page.locator('header').innerText()).toMatch(
      /Preview: dry runs only\. Nothing can be deleted here\./,
    );
    expect(await page.locator('[data-danger]').count()).toBe(0);
    const offered = await page
      .locator('form[method="post"]')
      .evaluateAll((forms) => forms.map((f) => new URL((f as HTMLFormElement).action).pathname));
    const harmless = ['sign-out', 'theme', ...READS_ONLY].map((route) => `/acts/${route}`);
    expect(offered.filter((action) => !harmless.includes(action))).toEqual([]);
    expect(await axeFaults(page)).toEqual([]);
    expect(await sidewaysScroll(page)).toEqual([]);
    expect(window.violations).toEqual([]);
  });
});

it.each(ACTS.filter((a) => !READS_ONLY.includes(a.route)).map((a) => [a.route, a] as const))(
  '%s is refused there, and changes nothing',
  async (_, act) => {
    await act.before?.(c.db);
    const before = await act.state(c.db);
    await window.page.goto('/');
    const answer = await send(window.page, `/acts/${act.route}`, await act.fields(c.db));
    expect(answer.status()).toBe(403);
    expect(await act.state(c.db)).toEqual(before);
  },
);
