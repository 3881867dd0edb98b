import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pauseRoute, resumeAllRoute, resumeRoute, stopAllRoute } from '@/lib/http/console/acts';
import { saidTo } from '@/lib/http/console/said';
import type { Services } from '@/lib/services';
import { CONSOLE_ENV, form, type Staff, shown } from '@/test/support/console';
import { DAY, govern, things } from '@/test/support/engine';
import { type Guarded, guarded } from '@/test/support/guarded';

let e: Guarded;
let s: Services;
beforeEach(async () => {
  e = await guarded(CONSOLE_ENV);
  const policy = await govern(e.db);
  await things(e.db, [40 * DAY]);
  s = { ...e.services, policies: [policy] };
});
afterEach(() => e.stop());

const ROUTES = {
  pause: pauseRoute,
  resume: resumeRoute,
  'stop-all': stopAllRoute,
  'resume-all': resumeAllRoute,
};
type Name = keyof typeof ROUTES;

const send = async (name: Name, who: Staff | null, fields = {}, headers = {}, services = s) =>
  ROUTES[name](() => services).POST(await form(services, who, fields, headers));
const state = async () =>
  e.db.sql(
    `select (select coalesce(bool_or(paused), false) from retention.policy_state) as paused, (select stopped from retention.kill_switch) as stopped,
      (select count(*)::int from retention.audit_entry) as entries`,
  );
const thing = () => s.policies[0]!.name;

it('pauses with one form, says so on the page it came from, and resumes in the same place', async () => {
  const paused = await shown(s, await send('pause', 'otto', { policy: thing(), back: '/policies/x' }));
  expect(paused).toMatchObject({ status: 303, path: '/policies/x', said: { done: true } });
  expect(paused.said?.text).toContain('no batch of it is running any more');
  expect(await state()).toMatchObject([{ paused: true, stopped: false }]);
  expect((await shown(s, await send('resume', 'maria', { policy: thing() }))).said?.done).toBe(true);
  expect(await state()).toMatchObject([{ paused: false }]);
  const entries = await e.db.sql('select actor, action, reason from retention.audit_entry order by n');
  expect(entries.slice(-2)).toEqual([
    { actor: 'otto', action: 'policy.paused', reason: 'stopped in the console' },
    { actor: 'maria', action: 'policy.resumed', reason: 'resumed in the console' },
  ]);
});

it('stops everything, twice without harm, and lets another operator go on', async () => {
  expect((await shown(s, await send('stop-all', 'anna', { reason: 'too much goes' }))).said?.done).toBe(true);
  const before = await state();
  expect(before).toMatchObject([{ stopped: true }]);
  const again = await shown(s, await send('stop-all', 'otto'));
  expect(again.said).toMatchObject({ done: true, text: 'Everything is stopped already.' });
  expect(await state()).toEqual(before);
  expect((await shown(s, await send('resume-all', 'otto'))).said?.done).toBe(true);
  expect(await state()).toMatchObject([{ stopped: false }]);
});

it('what is refused leads back with what was typed', async () => {
  const answer = await shown(s, await send('pause', 'otto', { policy: 'none-such', reason: 'legal asks' }));
  expect(answer).toMatchObject({ path: '/', said: { done: false, field: 'policy' } });
  expect(answer.said?.typed).toMatchObject({ reason: 'legal asks' });
  expect(answer.said?.text).toContain('there is no policy "none-such"');
});

it('what is answered reaches the form that was sent, and no other of its page', async () => {
  const { said } = await shown(
    s,
    await send('pause', 'otto', { policy: 'none-such', form: 'pause-none-such', reason: 'legal asks' }),
  );
  expect(saidTo(said, 'pause-none-such')?.typed).toEqual({ policy: 'none-such', reason: 'legal asks' });
  expect(saidTo(said, 'stop-all')).toBeNull();
  // What is no id of a form names none.
  const odd = await shown(s, await send('pause', 'otto', { policy: 'none-such', form: 'x"y' }));
  expect(odd.said).toMatchObject({ done: false });
  expect(odd.said).not.toHaveProperty('form');
});

describe('who may', () => {
  it.each([
    ['pause', 'vera'],
    ['pause', 'audra'],
    ['resume', 'vera'],
    ['resume', 'anna'],
    ['stop-all', 'vera'],
    ['stop-all', 'audra'],
    ['resume-all', 'audra'],
    ['resume-all', 'anna'],
  ] as const)(
    'a form for %s by %s, whose role may not, is answered 403 and changes nothing',
    async (name, who) => {
      const before = await state();
      const answer = await send(name, who, name === 'pause' || name === 'resume' ? { policy: thing() } : {});
      expect([answer.status, await state()]).toEqual([403, before]);
    },
  );

  it('a form of nobody leads to the sign-in and changes nothing', async () => {
    const before = await state();
    const answer = await shown(s, await send('stop-all', null));
    expect([answer.status, answer.path, await state()]).toEqual([303, '/sign-in', before]);
  });

  it('nothing is decided on a preview deployment', async () => {
    const settings = { ...s.settings, production: false, environment: 'preview' };
    const before = await state();
    const answer = await send('stop-all', 'otto', {}, {}, { ...s, settings });
    expect([answer.status, await state()]).toEqual([403, before]);
  });
});

describe('a page of another site', () => {
  it.each([
    ['another origin', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    [
      'another origin, whose browser says nothing more',
      { origin: 'https://evil.example', 'sec-fetch-site': null },
    ],
    ['an origin that is hidden', { origin: 'null' }],
    ['no origin', { origin: null }],
    ['a sibling of this site', { 'sec-fetch-site': 'same-site' }],
    ['this host under another port', { origin: 'http://lapse.test:8080' }],
  ])('cannot act: %s', async (_, headers) => {
    const before = await state();
    const answer = await send('stop-all', 'otto', {}, headers);
    expect([answer.status, await state()]).toEqual([403, before]);
  });

  it('is not where an act leads back to', async () => {
    for (const back of [
      'https://evil.example/',
      '//evil.example',
      '/.//evil.example',
      '/x/..//evil.example',
      '/\\evil.example',
      'javascript:alert(1)',
    ]) {
      const answer = await send('pause', 'otto', { policy: thing(), back });
      expect(answer.headers.get('location')).toMatch(/^\/\?said=/);
    }
  });
});

it('stops while Redis is away', async () => {
  const away = async () => {
    throw new Error('away');
  };
  const services = { ...s, redis: { ...s.redis, eval: away, get: away, mget: away } };
  expect((await shown(s, await send('stop-all', 'otto', {}, {}, services))).said?.done).toBe(true);
  expect(await state()).toMatchObject([{ stopped: true }]);
});
