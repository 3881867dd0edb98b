import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pauseRoute, resumeAllRoute, resumeRoute, stopAllRoute } from '@/lib/http/console/acts';
import { SAID, saidTo, UNSENT_COOKIE, whatWasSaid } from '@/lib/http/console/said';
import type { Services } from '@/lib/services';
import { CONSOLE_ENV, form, ORIGIN, type Staff, shown } from '@/test/support/console';
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
  expect(paused.said?.text).toContain('no file of its rows is deleted until it is resumed');
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

it.each([
  ['a line of a log, with a tab and a break', 'ERROR\tartifacts\nlost rows', 'ERROR artifacts lost rows'],
  ['words that turn their direction', '\u202eabc', 'abc'],
  ['a text that is longer than a reason may be', 'x'.repeat(501), 'x'.repeat(500)],
  ['a sign that is cut in two at the end', `${'x'.repeat(499)}\u{1f6d1}`, 'x'.repeat(499)],
])('stops whatever was given as the reason: %s', async (_, reason, recorded) => {
  expect((await shown(s, await send('stop-all', 'otto', { reason }))).said).toMatchObject({ done: true });
  const [entry] = await e.db.sql('select action, reason from retention.audit_entry order by n desc limit 1');
  expect(entry).toEqual({ action: 'all.stopped', reason: recorded });
});

it('what was typed and does not fit into the answer is missed in words, and the rest is there', async () => {
  const policy = 'none-such';
  const typed = { policy, reason: 'r'.repeat(300), more: 'm'.repeat(3_000) };
  const { said } = await shown(s, await send('pause', 'otto', typed));
  expect(said?.typed).toEqual({ policy, reason: typed.reason });
  expect(said?.text).toContain('Not all that you typed fits');
});

it('what the database kept from being done says the next step, and comes back', async () => {
  await e.db.sql('alter table retention.kill_switch rename to elsewhere');
  const { said } = await shown(s, await send('stop-all', 'otto', { reason: 'legal asks' }));
  expect(said?.text).toMatch(
    /^This was not done, and nothing was changed \(SQLSTATE 42P01\).*npm run migrate/,
  );
  expect(said?.typed).toEqual({ reason: 'legal asks' });
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

  it('a form of nobody leads to the sign-in, which says that nothing was done, and then to the form with what was typed', async () => {
    const before = await state();
    const sent = { policy: thing(), reason: 'legal asks', token: 'not to be kept', form: 'pause' };
    const answer = await send('pause', null, { ...sent, back: '/policies/x' });
    const to = new URL(answer.headers.get('location')!, ORIGIN);
    expect([answer.status, to.pathname, await state()]).toEqual([303, '/sign-in', before]);
    const back = new URL(to.searchParams.get('back')!, ORIGIN);
    const [name, value] = answer.headers.getSetCookie()[0]!.split(';')[0]!.split(/=(.*)/s);
    expect([name, back.pathname]).toEqual([UNSENT_COOKIE, '/policies/x']);
    const { settings, clock } = s;
    const id = back.searchParams.get(SAID)!;
    const said = await whatWasSaid(value, id, settings.sessionSecret, clock());
    expect(said).toMatchObject({ done: false, text: expect.stringContaining('nothing was changed') });
    expect(saidTo(said, 'pause')?.typed).toEqual({
      policy: thing(),
      reason: 'legal asks',
      back: '/policies/x',
    });
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
