import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { scriptsRoute } from '@/lib/http/console/scripts';
import { SESSION_COOKIE } from '@/lib/http/console/session';
import { signInRoute, signOutRoute } from '@/lib/http/console/sign-in';
import { type Tries, tries, UNKNOWN_ADDRESS } from '@/lib/http/console/tries';
import type { Services } from '@/lib/services';
import { CONSOLE_ENV, form, STAFF, shown } from '@/test/support/console';
import { type Engine, engine } from '@/test/support/engine';

let e: Engine;
let s: Services;
beforeEach(async () => {
  // The window of fifteen minutes slides by this process's clock, each time a quarter of an hour begins: here none does.
  vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-03-01T02:07:00Z') });
  e = await engine({ env: CONSOLE_ENV });
  s = e.services;
});
afterEach(async () => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
  await e.stop();
});

const route = (services = s, counted?: Tries) =>
  signInRoute(() => services, counted ? () => counted : undefined);
const post = async (token: string, headers = {}, fields = {}, of = route()) =>
  of.POST(await form(s, null, { token, ...fields }, headers));
const isIn = (answer: Response) =>
  answer.headers.getSetCookie().some((c) => c.startsWith(`${SESSION_COOKIE}=`));

it('an operator’s own token opens the console, at the page that was asked for, for eight hours', async () => {
  const answer = await post(STAFF.otto.token, {}, { back: '/runs/x?y=1' });
  expect([answer.status, answer.headers.get('location')]).toEqual([303, '/runs/x?y=1']);
  const [cookie] = answer.headers.getSetCookie();
  expect(cookie).toMatch(/^__Host-lapse=[^;]+; Path=\/; Max-Age=28800; Secure; HttpOnly; SameSite=Lax$/);
  expect(cookie).not.toContain(STAFF.otto.token);
});

it('a browser that shows what stands there without scripts gets every page whole, until it signs in with them', async () => {
  const scripts = async (fields: object) =>
    (await post(STAFF.otto.token, {}, fields)).headers.getSetCookie().find((c) => c.includes('scripts'));
  expect(await scripts({ scripts: 'off' })).toMatch(/^__Host-lapse-scripts=off; Path=\/; Max-Age=28800;/);
  expect(await scripts({})).toMatch(/^__Host-lapse-scripts=; Path=\/; Max-Age=0;/);
  const since = await scriptsRoute(() => s).POST(
    await form(s, 'otto', { scripts: 'off', back: '/runs/x?y=1' }),
  );
  expect([since.status, since.headers.get('location')]).toEqual([303, '/runs/x?y=1']);
  expect(since.headers.getSetCookie()[0]).toMatch(/^__Host-lapse-scripts=off;/);
  const elsewhere = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
  const other = await scriptsRoute(() => s).POST(await form(s, 'otto', { scripts: 'off' }, elsewhere));
  expect([other.status, other.headers.getSetCookie()]).toEqual([403, []]);
});

it('signing out takes the cookie away', async () => {
  const answer = await signOutRoute(() => s).POST(await form(s, 'otto', {}));
  expect(answer.headers.getSetCookie()).toEqual([expect.stringMatching(/^__Host-lapse=; .*Max-Age=0/)]);
});

it('any other token is refused with one sentence, which says nothing about it, and is written nowhere', async () => {
  const written: unknown[] = [];
  const log = {
    ...s.log,
    info: (...line: unknown[]) => void written.push(line),
  } as unknown as Services['log'];
  const answer = await post('not-a-token-of-anyone', {}, {}, route({ ...s, log }));
  expect(isIn(answer)).toBe(false);
  const { path, said } = await shown(s, answer);
  expect([path, said]).toEqual([
    '/sign-in',
    { done: false, text: 'No operator has this token.', field: 'token', typed: {}, id: expect.anything() },
  ]);
  expect(JSON.stringify([written, answer.headers.get('location')])).not.toContain('not-a-token');
});

it('a form of another site signs no one in', async () => {
  const answer = await post(STAFF.otto.token, {
    origin: 'https://evil.example',
    'sec-fetch-site': 'cross-site',
  });
  expect([answer.status, isIn(answer)]).toEqual([403, false]);
});

it('leads to no other site', async () => {
  for (const back of ['https://evil.example/x', '/.//evil.example/x', '/\\evil.example', '']) {
    const answer = await post(STAFF.otto.token, {}, { back });
    expect([back, answer.headers.get('location')]).toEqual([back, '/']);
  }
  expect((await post(STAFF.otto.token, {}, { back: '//evil.example/x' })).headers.get('location')).toBe('/x');
});

it('without a secret no one is signed in', async () => {
  const services = { ...s, settings: { ...s.settings, sessionSecret: undefined } };
  const answer = await post(STAFF.otto.token, {}, {}, route(services));
  expect([answer.headers.get('location'), isIn(answer)]).toEqual(['/sign-in', false]);
});

/** On a slow machine, too, it is Redis that counts. */
const counting = (nowMs = () => 0) => tries(s.settings, nowMs, 60_000);
const from = (address: string) => ({ 'x-forwarded-for': `${address}, 10.0.0.1` });
const sentence = async (answer: Response) => (await shown(s, answer)).said?.text;

it('five wrong tokens close the form to their address, also for the right one, and to no other address', async () => {
  vi.stubEnv('VERCEL', '1');
  const of = route(s, counting());
  for (let n = 0; n < 5; n += 1) {
    expect(await sentence(await post(`wrong-token-number-${n}`, from('203.0.113.1'), {}, of))).toContain(
      'No operator',
    );
  }
  const closed = await post(STAFF.otto.token, from('203.0.113.1'), {}, of);
  expect([isIn(closed), await sentence(closed)]).toEqual([
    false,
    'Too many tries from here: wait up to 15 minutes.',
  ]);
  // Another instance counts with the same Redis.
  expect(isIn(await post(STAFF.otto.token, from('203.0.113.1'), {}, route(s, counting())))).toBe(false);
  expect(isIn(await post(STAFF.otto.token, from('203.0.113.2'), {}, of))).toBe(true);
});

it('fifty failures from everywhere close the form to addresses that failed, never to one that did not', async () => {
  const counted = counting();
  for (let n = 0; n < 50; n += 1) await counted.failed(`198.51.100.${n}`);
  expect([await counted.mayTry('198.51.100.7'), await counted.mayTry('203.0.113.9')]).toEqual([false, true]);
});

it('while Redis is away an instance counts in its own memory: never open, never closed', async () => {
  const away = { ...s.settings, redisUrl: 'http://127.0.0.1:1', redisToken: 'x' };
  let now = 0;
  const counted = tries(away, () => now);
  expect(await counted.mayTry('203.0.113.1')).toBe(true);
  for (let n = 0; n < 5; n += 1) await counted.failed('203.0.113.1');
  expect([await counted.mayTry('203.0.113.1'), await counted.mayTry('203.0.113.2')]).toEqual([false, true]);
  now = 15 * 60_000;
  expect(await counted.mayTry('203.0.113.1')).toBe(true);
  const answer = await post(STAFF.otto.token, {}, {}, route({ ...s, settings: away }));
  expect(isIn(answer)).toBe(true);
});

it('where no one can say who calls, a stranger’s tries do not keep an operator out', async () => {
  const counted = counting();
  for (let n = 0; n < 60; n += 1) await counted.failed(UNKNOWN_ADDRESS);
  // A header that anyone can send is not taken for an address.
  const of = route(s, counted);
  expect(await sentence(await post('another-wrong-token', from('203.0.113.3'), {}, of))).toContain(
    'Too many tries',
  );
  expect(isIn(await post(STAFF.otto.token, from('203.0.113.3'), {}, of))).toBe(true);
});
