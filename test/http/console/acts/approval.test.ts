import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closeBreaker, FAILURES, feedBreaker } from '@/lib/engine/guard/breaker';
import { runPolicy } from '@/lib/engine/run/run';
import { guardStop } from '@/lib/http/console/approval';
import {
  approveRoute,
  closeBreakerRoute,
  raiseRoute,
  releaseLockRoute,
} from '@/lib/http/console/approval-acts';
import type { Policy } from '@/lib/policies/contract';
import { days } from '@/lib/policies/contract';
import { versionOf } from '@/lib/policies/fingerprint';
import type { Services } from '@/lib/services';
import { CONSOLE_ENV, form } from '@/test/support/console';
import { bound, chain, refusesStrangers, send, withoutRedis } from '@/test/support/deciding';
import { govern, left, NOW, runRequest, thingsPolicy } from '@/test/support/engine';
import { aged, type Guarded, guarded, later } from '@/test/support/guarded';

let e: Guarded;
let s: Services;
let policy: Policy;
beforeEach(async () => {
  e = await guarded({ ...CONSOLE_ENV, LAPSE_PROGRESSIVE_ROLLOUT: 'on' });
  policy = await govern(e.db, { rollout: false });
  s = { ...e.services, policies: [policy] };
  await bound(e.db);
});
afterEach(async () => {
  await closeBreaker(s.redis, 'things').catch(() => undefined);
  await e.stop();
});

/** As the button of the console makes it, under a person's name. */
const preview = (actor: string) =>
  runPolicy(s, policy, runRequest(s.clock(), { dryRun: true, trigger: 'manual', actor }));

/** A run that was stopped, and the preview a person made of it. */
async function stopped(): Promise<string> {
  await aged(e, 1, 100, 30);
  await e.analyze();
  expect(await e.run(policy)).toMatchObject({ reason: 'guarded', deleted: 0 });
  await preview('otto');
  return (await guardStop(s, 'things', 'anna')).preview!.digest;
}
const approve = (digest: string, more = {}) => ({
  policy: 'things',
  digest,
  confirm: 'things',
  reason: 'first clean-up, ticket 7',
  ...more,
});

describe('approving a guard stop', () => {
  it('shows what would go, what is different, and who may not; approved, exactly that goes', async () => {
    const digest = await stopped();
    const seen = await guardStop(s, 'things', 'otto');
    expect(seen).toMatchObject({
      limit: { because: expect.stringContaining('% of about') },
      preview: { expired: 2130, made_by: 'otto', by_rule: { all: { expired: 2130 } } },
      notYou: 'You made this preview: another person approves it.',
    });
    expect(seen.stopped).not.toBeNull();
    expect(seen.preview!.samples).toHaveLength(20);
    expect(seen.differences.join(' ')).toContain('no night to compare with');
    expect((await guardStop(s, 'things', 'anna')).notYou).toBeNull();
    const answer = await send(s, approveRoute, 'anna', approve(digest));
    expect(answer.said).toMatchObject({ done: true, text: expect.stringContaining('these 2,130 rows') });
    expect(await chain(e.db)).toEqual(['approval.given anna']);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2130 });
    expect(await left(e.db)).toBe(870);
  });

  it('sent twice it is given once, and says by whom', async () => {
    const digest = await stopped();
    await send(s, approveRoute, 'anna', approve(digest));
    const again = await send(s, approveRoute, 'maria', approve(digest));
    expect(again.said).toEqual(
      expect.objectContaining({ done: true, text: 'anna has approved this preview already.' }),
    );
    expect(await chain(e.db)).toEqual(['approval.given anna']);
  });

  it.each([
    ['another name', { confirm: 'thing' }, 'confirm'],
    ['no reason', { reason: ' ' }, 'reason'],
    ['no digest', { digest: 'x' }, 'digest'],
  ])('%s is refused at its field, with what was typed, and nothing goes', async (_, wrong, field) => {
    const digest = await stopped();
    const answer = await send(s, approveRoute, 'anna', approve(digest, wrong));
    expect(answer).toMatchObject({ path: '/policies/things/approve', said: { done: false, field } });
    expect(answer.said!.typed).toMatchObject(wrong);
    expect(await chain(e.db)).toEqual([]);
    expect(await e.run(policy)).toMatchObject({ reason: 'guarded', deleted: 0 });
  });

  it('a preview that is not the newest any more is refused, with what changed', async () => {
    const digest = await stopped();
    await aged(e, 40, 41, 10);
    s = { ...s, clock: () => new Date(NOW.getTime() + 60_000) };
    await preview('otto');
    const answer = await send(s, approveRoute, 'anna', approve(digest));
    expect(answer.said).toMatchObject({ done: false, text: expect.stringContaining('has 2,150 rows') });
    expect(await chain(e.db)).toEqual([]);
  });

  it('a preview of another rule is none', async () => {
    const digest = await stopped();
    const other = thingsPolicy({ rollout: false, rules: [{ label: 'all', keepFor: days(31) }] });
    const changed = { ...s, policies: [other] };
    expect((await guardStop(changed, 'things', 'anna')).preview).toBeNull();
    const answer = await send(changed, approveRoute, 'anna', approve(digest));
    expect(answer.said).toMatchObject({ done: false, text: expect.stringContaining('the rule changed') });
  });

  it('who made the preview does not approve it, whatever the form says', async () => {
    await aged(e, 1, 100, 30);
    await e.analyze();
    await e.run(policy);
    await preview('maria');
    const { digest } = (await guardStop(s, 'things', 'maria')).preview!;
    const answer = await send(s, approveRoute, 'maria', approve(digest));
    expect(answer.said).toMatchObject({ done: false, text: expect.stringContaining('another person') });
    expect(await chain(e.db)).toEqual([]);
  });

  it('an operator may make the preview and may not approve it; a viewer may not either', async () => {
    const digest = await stopped();
    const otto = await approveRoute(() => s).POST(await form(s, 'otto', approve(digest)));
    expect(otto.status).toBe(403);
    await refusesStrangers(s, e.db, approveRoute, approve(digest));
  });

  it('works while Redis is away', async () => {
    const digest = await stopped();
    const answer = await send(withoutRedis(s), approveRoute, 'anna', approve(digest));
    expect(answer.said?.done).toBe(true);
  });

  it('tells what is different from the night before: more rows, and older ones than that night left', async () => {
    await aged(e, 31, 31, 5);
    await aged(e, 1, 5, 3000);
    await e.analyze();
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 5 });
    await e.db.sql(
      `insert into things (at) select timestamptz '1970-01-01' + make_interval(secs => i) from generate_series(1, 9000) i`,
    );
    s = { ...s, clock: () => later(1) };
    expect(await e.at(later(1), policy)).toMatchObject({ reason: 'guarded' });
    await preview('otto');
    const { differences } = await guardStop(s, 'things', 'anna');
    expect(differences.join('\n')).toMatch(
      /The oldest is of 1970-01-01\. The run of 2026-03-01 left nothing older than 2026-01-30/,
    );
    expect(differences.join('\n')).toMatch(/Rule all: 9,\d+ rows, 5 on 2026-03-01/);
  });
});

describe('raising a step of the rollout', () => {
  beforeEach(async () => {
    policy = thingsPolicy();
    s = { ...s, policies: [policy] };
    await e.db.sql(`insert into things (at) select timestamptz '2026-01-01' from generate_series(1, 300)`);
    await e.db.sql(`insert into things (at) select timestamptz '2026-02-28' from generate_series(1, 3000)`);
    await e.analyze();
    expect(await e.run(policy)).toMatchObject({ reason: 'rollout', deleted: 10 });
  });
  const raise = (more = {}) => ({
    policy: 'things',
    version: versionOf(policy),
    seen: '1',
    confirm: 'things',
    reason: 'checked by hand',
    ...more,
  });

  it('lets the next run delete as much as the form said, once', async () => {
    expect((await guardStop(s, 'things', 'anna')).step).toBe(100);
    const answer = await send(s, raiseRoute, 'anna', raise());
    expect(answer.said).toMatchObject({ done: true, text: expect.stringContaining('up to 1,000 rows') });
    const again = await send(s, raiseRoute, 'anna', raise());
    expect(again.said).toMatchObject({
      done: false,
      text: expect.stringContaining('not at this step any more'),
    });
    expect(await chain(e.db)).toEqual(['rollout.raised anna']);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 290 });
  });

  it('takes the typed name, a role that approves, and a page of this site', async () => {
    const wrong = await send(s, raiseRoute, 'anna', raise({ confirm: 'Things' }));
    expect(wrong.said).toMatchObject({ done: false, field: 'confirm' });
    await refusesStrangers(s, e.db, raiseRoute, raise());
    expect(await e.run(policy)).toMatchObject({ reason: 'rollout', deleted: 100 });
  });
});

describe('a breaker', () => {
  const close = { policy: 'things', reason: 'the index is there now' };
  const open = async () => {
    await aged(e, 40, 40, 3);
    const closed = { open: false, secondsLeft: 0, failures: 0 };
    const ending = { outcome: 'errored', reason: 'lost' } as const;
    for (let i = 0; i < FAILURES; i += 1) await feedBreaker(s.redis, 'things', closed, ending);
    expect(await e.run(policy)).toMatchObject({ outcome: 'skipped' });
  };

  it('is closed once, and the next run tries', async () => {
    await open();
    const answer = await send(s, closeBreakerRoute, 'otto', close);
    expect(answer.said).toMatchObject({ done: true, text: expect.stringContaining('next run tries again') });
    const again = await send(s, closeBreakerRoute, 'otto', close);
    expect(again.said).toMatchObject({ done: true, text: 'The breaker of things is closed already.' });
    expect(await chain(e.db)).toEqual(['breaker.closed otto']);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 3 });
  });

  it('is closed by nobody who may not, and not while Redis, which has it, is away', async () => {
    await open();
    await refusesStrangers(s, e.db, closeBreakerRoute, close);
    const away = await send(withoutRedis(s), closeBreakerRoute, 'otto', close);
    expect(away.said?.done).toBe(false);
    expect(await chain(e.db)).toEqual([]);
  });
});

describe('a lock', () => {
  const release = (more = {}) => ({
    policy: 'things',
    confirm: 'things',
    reason: 'the runner died',
    ...more,
  });

  it('is released when its lease has ended, and moves the fence past the old runner', async () => {
    await aged(e, 40, 40, 3);
    await e.run(policy);
    const [before] = await e.db.sql<{ fence: string }>('select fence from retention.policy_state');
    const answer = await send(s, releaseLockRoute, 'otto', release());
    expect(answer.said).toMatchObject({
      done: true,
      text: expect.stringContaining('can delete nothing more'),
    });
    const [after] = await e.db.sql<{ fence: string }>('select fence from retention.policy_state');
    expect(Number(after!.fence)).toBe(Number(before!.fence) + 1);
    expect(await chain(e.db)).toEqual(['lease.released otto']);
  });

  it('is not released while a run has its lease, nor where nobody can say whether one has', async () => {
    await e.run(policy);
    await s.redis.eval(
      "return redis.call('set', KEYS[1], 'a:b', 'px', '20000')",
      [`${s.redis.prefix}things:lease`],
      [],
    );
    const held = await send(s, releaseLockRoute, 'otto', release());
    expect(held.said).toMatchObject({
      done: false,
      text: expect.stringContaining('a run of things is at work'),
    });
    expect((await send(withoutRedis(s), releaseLockRoute, 'otto', release())).said?.done).toBe(false);
    expect((await send(s, releaseLockRoute, 'otto', release({ confirm: 'x' }))).said).toMatchObject({
      field: 'confirm',
    });
    await refusesStrangers(s, e.db, releaseLockRoute, release());
    expect(await chain(e.db)).toEqual([]);
  });
});
