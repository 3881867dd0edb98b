/** What stands there when there is nothing to show yet, or nothing can be read: as clear as any other page, and Stop all still there. */
import { afterEach, describe, expect, it } from 'vitest';
import { PAGES } from './pages';
import { type Console, LOOKS, type Look, openConsole, type Window } from './support/console';
import { axeFaults, settled, sidewaysScroll } from './support/look';

let c: Console | undefined;
afterEach(() => c?.stop());

/** Pages that are there for any store. */
const LISTS = PAGES.filter((p) => p.at === undefined && p.who === undefined && p.status === undefined);
const paths = [...new Set(LISTS.map((p) => p.route))];
const LOOKED = Object.keys(LOOKS) as Look[];
/** Each looks at many pages, one after another. */
const MANY_MS = 400_000;

async function clean({ page, violations }: Window, path: string): Promise<void> {
  expect([path, await axeFaults(page)]).toEqual([path, []]);
  expect([path, await sidewaysScroll(page)]).toEqual([path, []]);
  expect([path, violations]).toEqual([path, []]);
}

describe.each(LOOKED)('%s', { timeout: MANY_MS }, (look) => {
  it('a new store has every page, each with words for what would be there, and the first steps with their commands', async () => {
    c = await openConsole({ empty: true });
    const window = await c.as('alex', look);
    for (const path of paths) {
      expect([path, (await window.page.goto(path))?.status()]).toEqual([path, 200]);
      await settled(window.page);
      await clean(window, path);
    }
    await window.page.goto('/');
    await settled(window.page);
    const steps = window.page.locator('section').filter({ hasText: /^Next: / });
    expect(await steps.locator('[aria-current="step"] code').innerText()).toMatch(/^npm |^curl /);
    expect(window.faults).toEqual([]);
  });

  it('while the database cannot be read each page says so, why, what to do, and a reference; Stop all stays', async () => {
    c = await openConsole();
    const window = await c.as('alex', look);
    // Lapse's own tables are what pages read; the bar needs none of them.
    await c.db.sql('alter schema retention rename to elsewhere');
    for (const path of [
      '/',
      '/attention',
      '/holds',
      '/erasures',
      '/reports',
      '/policies/artifacts',
      '/audit',
    ]) {
      await window.page.goto(path);
      await settled(window.page);
      const said = await window.page.locator('main').innerText();
      expect([path, said]).toEqual([path, expect.stringMatching(/could not be read|could not be shown/)]);
      expect([path, said]).toEqual([path, expect.stringMatching(/SQLSTATE (42P01|42883|3F000)/)]);
      expect([path, said]).toEqual([path, expect.stringContaining('npm run migrate')]);
      expect([path, said]).toEqual([path, expect.stringMatching(/Reference: [\w-]{36}/)]);
      expect(await window.page.getByText('Stop all', { exact: true }).count()).toBe(1);
      expect([path, said]).toEqual([path, expect.not.stringContaining('Not measured yet')]);
      const pauses = await window.page.getByRole('button', { name: 'Pause artifacts' }).count();
      expect([path, pauses]).toEqual([path, path === '/policies/artifacts' ? 1 : 0]);
      await clean(window, path);
    }
    await c.db.sql('alter schema elsewhere rename to retention');
  });
});
