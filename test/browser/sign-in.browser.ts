import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Console, openConsole } from './support/console';
import { axeFaults } from './support/look';

let c: Console;
beforeAll(async () => {
  c = await openConsole();
});
afterAll(() => c?.stop());

it('whoever is not signed in is led to the sign-in, and from there to where they wanted to go', async () => {
  const { page } = await c.open();
  await page.goto('/?of=a-link');
  expect(new URL(page.url()).pathname).toBe('/sign-in');
  await page.getByLabel('Operator token').fill(c.scene.tokens.vera);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/?of=a-link');
});

it('a wrong token is refused in words, and opens nothing', async () => {
  const window = await c.open('phone');
  const { page } = window;
  await page.goto('/sign-in');
  await page.getByLabel('Operator token').fill('not-a-token-of-anyone');
  await page.getByRole('button', { name: 'Sign in' }).click();
  expect(await page.locator('#refused').innerText()).toBe('No operator has this token.');
  expect(await axeFaults(page)).toEqual([]);
  expect(window.violations).toEqual([]);
  await page.goto('/');
  expect(new URL(page.url()).pathname).toBe('/sign-in');
});

it('signing out ends it, for every page of the window', async () => {
  const { page } = await c.as('vera');
  await page.getByText('vera', { exact: true }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL('**/sign-in');
  await page.goto('/policies/artifacts');
  expect(new URL(page.url()).pathname).toBe('/sign-in');
});

it('a form that is sent when the session has ended is not done, says so, and comes back after the sign-in as it was typed', async () => {
  const window = await c.as('otto', 'phone');
  const { page, context } = window;
  await page.goto('/holds/new');
  await page.getByLabel('Of a user').check();
  await page.getByLabel('Id').fill('somebody');
  await page.getByLabel('Reason').fill('HOLD-7');
  await context.clearCookies();
  await page.getByRole('button', { name: 'Place the hold' }).click();
  await page.waitForURL('**/sign-in?**');
  expect(await page.locator('#unsent').innerText()).toContain('nothing was changed');
  expect(await axeFaults(page)).toEqual([]);
  for (const token of ['not-a-token-of-anyone', c.scene.tokens.otto]) {
    await page.getByLabel('Operator token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.locator(token === c.scene.tokens.otto ? '#said' : '#refused').waitFor();
  }
  expect(await page.locator('#said').innerText()).toContain('Not done: The session had ended');
  expect(await page.getByLabel('Of a user').isChecked()).toBe(true);
  expect(await page.getByLabel('Id').inputValue()).toBe('somebody');
  expect(await page.getByLabel('Reason').inputValue()).toBe('HOLD-7');
  expect(await c.db.sql(`select from retention.hold where reason = 'HOLD-7'`)).toEqual([]);
  expect(window.violations).toEqual([]);
});

it('a chosen color scheme stays, whatever the system says', async () => {
  const { page } = await c.as('vera', 'light');
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.getByText('vera', { exact: true }).click();
  await page.getByRole('button', { name: 'dark' }).click();
  await page.waitForLoadState('networkidle');
  const dark = await background();
  expect(dark).not.toBe(light);
  await page.reload();
  expect(await background()).toBe(dark);
});

it('removing a token ends its session at once, and no other', async () => {
  const [anna, otto] = [await c.as('anna'), await c.as('otto')];
  const left = c.env.LAPSE_OPERATORS!.split(',').filter((entry) => !entry.startsWith('anna:'));
  await c.restart({ LAPSE_OPERATORS: left.join(',') });
  await Promise.all([anna.page.reload(), otto.page.reload()]);
  expect(new URL(anna.page.url()).pathname).toBe('/sign-in');
  expect(new URL(otto.page.url()).pathname).toBe('/');
});
