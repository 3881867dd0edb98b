/** A preview deployment may look into production's database: nothing that deletes is offered there, and nothing is accepted. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACTS } from './acts';
import { PAGES, titleOf } from './pages';
import { type Console, openConsole, type Window } from './support/console';
import { axeFaults, axeFaultsUnfolded, openAll, sidewaysScroll } from './support/look';
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
    expect(await axeFaultsUnfolded(page)).toEqual([]);
    expect(await sidewaysScroll(page)).toEqual([]);
    expect(window.violations).toEqual([]);
  });
});

describe('the plan of the start page', () => {
  const plan = () => window.page.locator('section').filter({ hasText: 'What this branch changes' });

  it('says when the branch changes nothing', async () => {
    await window.page.goto('/');
    await window.page.waitForLoadState('networkidle');
    expect(await plan().innerText()).toMatch(/None of \d+ policies changes/);
  });

  it('tells what a branch makes deletable that production keeps', async () => {
    // Production last ran another declaration than the one that was built.
    await c.db.sql(`update retention.policy_version set version = repeat('0', 16), periods = '{"expired": 8640000}', declaration = null
      where policy = 'magic-links' and superseded_at is null`);
    // The other plan is shown for five minutes; a new instance of Redis knows none.
    await c.restart({ LAPSE_NAMESPACE: 'browser-plan' });
    const phone = await c.as('vera', 'phone');
    for (const { page } of [window, phone]) {
      await page.goto('/');
      await page.waitForLoadState('networkidle');
      const shown = page.locator('section').filter({ hasText: 'What this branch changes' });
      const text = await shown.innerText();
      expect(text).toMatch(/1 of \d+ policies changes\. [\d,]+ rows become deletable because of it now/);
      expect(text).toContain('magic-links');
      expect(text).toMatch(/period expired: 100 days/);
      expect(await axeFaults(page)).toEqual([]);
      expect(await sidewaysScroll(page)).toEqual([]);
    }
    expect([...window.violations, ...phone.violations]).toEqual([]);
  });
});

it.each(ACTS.filter((a) => !READS_ONLY.includes(a.route)).map((a) => [a.route, a] as const))(
  '%s is refused there, and changes nothing',
  async (_, act) => {
    const entries = () => c.db.sql('select count(*)::int as n from retention.audit_entry');
    const before = await entries();
    await window.page.goto('/');
    // Before any field of it is read.
    const answer = await send(window.page, `/acts/${act.route}`, {});
    expect(answer.status()).toBe(403);
    expect(await entries()).toEqual(before);
  },
);
