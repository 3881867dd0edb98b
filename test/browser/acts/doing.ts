/** Every act as its readers do it, and as they must not be able to: in the page's own form, and by that form's fields sent from elsewhere. */
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Person } from '@/lib/dev/demo/scene';
import { type Console, openConsole, type Window } from '../support/console';
import { axeFaults, settled } from '../support/look';
import { send, sendFromElsewhere } from '../support/send';
import { type ActOf, resolved } from './act';

const NAME = /^Type (.*) to confirm$/;
/** Refunds can be asked for; none is made without the watch. A version begins with a few rows. */
const ENV = { STRIPE_SECRET_KEY: 'sk_test_of_the_browser', LAPSE_PROGRESSIVE_ROLLOUT: 'on' };

type Fields = Readonly<Record<string, string>>;

export function actTests(acts: readonly ActOf[]): void {
  const desk = new Desk();
  beforeAll(() => desk.open());
  afterAll(() => desk.close());
  describe.each(acts.map((a) => [a.route, a] as const))('%s', (_, act) => {
    it('is refused from another site, to who is not signed in, and to a role that may not, who is not offered it', () =>
      refusedToOthers(desk, act));
    if (act.typesName)
      it('is refused with a wrong name, by the browser and by the server, and what was typed is kept', () =>
        refusedWithWrongName(desk, act));
    it('is done by its own form, says so, and breaks no content policy', () => done(desk, act));
    it('done twice, is done once, and says what is so', () => doneTwice(desk, act));
    if (act.stale)
      it('is refused when what it was bound to has changed since it was read', () => refusedStale(desk, act));
  });
}

/** One console and a window for each person, on a store that is the scene's own again after whatever was done. */
class Desk {
  #console: Console | undefined;
  #windows = new Map<Person, Window>();
  #isTouched = false;

  get c(): Console {
    if (!this.#console) throw new Error('it is not open');
    return this.#console;
  }

  async open(): Promise<void> {
    this.#console = await openConsole({ env: ENV });
  }

  close = (): Promise<void> | undefined => this.#console?.stop();

  /** The scene as it was, with what this act needs. */
  async ready(act: ActOf): Promise<void> {
    if (this.#isTouched) await this.c.again();
    this.#isTouched = act.prepare !== undefined;
    await act.prepare?.(this.c);
  }

  touch(): void {
    this.#isTouched = true;
  }

  async window(who: Person): Promise<Window> {
    const window = this.#windows.get(who) ?? (await this.c.as(who));
    this.#windows.set(who, window);
    return window;
  }

  state = async (act: ActOf): Promise<unknown> =>
    act.state?.(this.c) ?? this.c.db.sql('select count(*)::int as n from retention.audit_entry');
}

const path = ({ route }: ActOf): string => `/acts/${route}`;
const said = (page: Page): Promise<string> => page.locator('#said').innerText();

/** The page of an act with its form, unfolded and filled in. */
async function filledIn({ c }: Desk, page: Page, act: ActOf): Promise<Locator> {
  await page.goto(await resolved(act.page, c));
  await settled(page);
  if (act.open) await page.getByText(act.open, { exact: true }).first().click();
  const form = page.locator(`form[id^="${act.form}"]`).first();
  for (const [label, text] of Object.entries(await resolved(act.typed ?? {}, c)))
    await put(form.getByLabel(label, { exact: true }), text);
  if (act.typesName) {
    const label = form.locator('label').filter({ hasText: NAME });
    await form.getByLabel(NAME).fill(NAME.exec(await label.innerText())![1]!);
  }
  return form;
}

async function put(field: Locator, text: string): Promise<void> {
  const kind = await field.evaluate((e) => (e instanceof HTMLInputElement ? e.type : e.tagName));
  if (kind === 'radio' || kind === 'checkbox') await field.check();
  else if (kind === 'SELECT') await field.selectOption(text);
  else await field.fill(text);
}

/** As the browser would send them. */
const fieldsOf = (form: Locator): Promise<Fields> =>
  form.evaluate((f) =>
    Object.fromEntries([...new FormData(f as HTMLFormElement)].map(([k, v]) => [k, String(v)])),
  );

const press = (form: Locator, act: ActOf): Promise<void> =>
  form.getByRole('button', { name: act.press, exact: true }).click();

const cleanAfter = async ({ page, violations, faults }: Window): Promise<void> => {
  expect(await axeFaults(page)).toEqual([]);
  expect(violations).toEqual([]);
  expect(faults).toEqual([]);
};

async function done(desk: Desk, act: ActOf): Promise<void> {
  await desk.ready(act);
  const before = await desk.state(act);
  const window = await desk.window(act.by);
  const form = await filledIn(desk, window.page, act);
  desk.touch();
  await press(form, act);
  await window.page.locator('#said').waitFor();
  expect(await said(window.page)).toMatch(/^✓/);
  expect(await said(window.page)).toMatch(act.says);
  // What goes on behind the answer is done a little later.
  if (act.state) await expect.poll(() => desk.state(act), { timeout: 20_000 }).not.toEqual(before);
  else expect(await desk.state(act)).toEqual(before);
  await cleanAfter(window);
}

async function doneTwice(desk: Desk, act: ActOf): Promise<void> {
  await desk.ready(act);
  const { page } = await desk.window(act.by);
  const fields = await fieldsOf(await filledIn(desk, page, act));
  desk.touch();
  await send(page, path(act), fields);
  expect(await said(page)).toMatch(act.says);
  const after = await desk.state(act);
  expect((await send(page, path(act), fields)).status()).toBe(303);
  expect(await said(page)).toMatch(act.twice);
  if (!act.repeats) expect(await desk.state(act)).toEqual(after);
}

async function refusedWithWrongName(desk: Desk, act: ActOf): Promise<void> {
  await desk.ready(act);
  const before = await desk.state(act);
  const window = await desk.window(act.by);
  const { page } = window;
  const form = await filledIn(desk, page, act);
  await form.getByLabel(NAME).fill('another-name');
  const posts: string[] = [];
  const note = (r: { method(): string; url(): string }) =>
    void (r.method() === 'POST' && posts.push(r.url()));
  page.on('request', note);
  await press(form, act);
  expect(await form.locator(':invalid').count()).toBe(1);
  page.off('request', note);
  expect(posts).toEqual([]);
  await send(page, path(act), await fieldsOf(form));
  expect(await said(page)).toMatch(/^✕ Not done: /);
  const again = page.locator(`form[id^="${act.form}"]`).getByLabel(NAME);
  expect(await again.inputValue()).toBe('another-name');
  expect(await again.getAttribute('aria-invalid')).toBe('true');
  // No other form of the page takes it for its own.
  expect(await page.locator('[aria-invalid="true"]').count()).toBe(1);
  expect(await desk.state(act)).toEqual(before);
  await cleanAfter(window);
}

async function refusedStale(desk: Desk, act: ActOf): Promise<void> {
  await desk.ready(act);
  const window = await desk.window(act.by);
  const form = await filledIn(desk, window.page, act);
  desk.touch();
  await act.stale!.change(desk.c);
  const before = await desk.state(act);
  await press(form, act);
  await window.page.locator('#said').waitFor();
  expect(await said(window.page)).toMatch(/^✕ Not done: /);
  expect(await said(window.page)).toMatch(act.stale!.refusal);
  expect(await desk.state(act)).toEqual(before);
  await cleanAfter(window);
}

async function refusedToOthers(desk: Desk, act: ActOf): Promise<void> {
  await desk.ready(act);
  const before = await desk.state(act);
  const { page } = await desk.window(act.by);
  const fields = await fieldsOf(await filledIn(desk, page, act));
  const elsewhere = await sendFromElsewhere(page, `${desk.c.app.url}${path(act)}`, fields);
  expect(elsewhere.status()).toBe(403);

  const other = (await desk.window(act.notBy)).page;
  await other.goto(await resolved(act.page, desk.c));
  expect(await other.locator(`form[action="${path(act)}"]`).count()).toBe(0);
  expect((await send(other, path(act), fields)).status()).toBe(403);
  const viewer = (await desk.window('vera')).page;
  await viewer.goto('/');
  expect((await send(viewer, path(act), fields)).status()).toBe(403);

  const stranger = await desk.c.open();
  await stranger.page.goto('/sign-in');
  const answer = await send(stranger.page, path(act), fields);
  expect([answer.status(), answer.headers().location]).toEqual([
    303,
    expect.stringMatching(/^\/sign-in\?back=/),
  ]);
  await stranger.context.close();
  expect(await desk.state(act)).toEqual(before);
}
