import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  endExtensionRoute,
  extendDayRoute,
  placeHoldRoute,
  releaseHoldRoute,
  reviewHoldRoute,
  setExtensionRoute,
} from '@/lib/http/console/hold-acts';
import { extensions, holdOf, holds } from '@/lib/http/console/lists';
import { whatIsReleased } from '@/lib/http/console/release';
import type { Policy } from '@/lib/policies/contract';
import type { Services } from '@/lib/services';
import { comingDay } from '@/lib/watch/calendar/extend-day';
import { CONSOLE_ENV, form } from '@/test/support/console';
import { bound, chain, refusesStrangers, send, withoutRedis } from '@/test/support/deciding';
import { DAY, govern, left, NOW } from '@/test/support/engine';
import { type Guarded, guarded } from '@/test/support/guarded';

const ACME = '0192aaaa-0000-4000-8000-000000000001';
let e: Guarded;
let s: Services;
let policy: Policy;
beforeEach(async () => {
  e = await guarded({ ...CONSOLE_ENV, LAPSE_MASS_DELETION_GUARD: 'off', LAPSE_COOLING_OFF_DAYS: '0' });
  policy = await govern(e.db, { schedule: { run: '1 2 * * *' } });
  s = { ...e.services, policies: [policy] };
  await bound(e.db);
});
afterEach(() => e.stop());

const put = async (age: number, org: string | null = ACME, rows = 1): Promise<string[]> =>
  (
    await e.db.sql<{ id: string }>(
      `insert into things (at, org) select $1::timestamptz + make_interval(secs => i), $2 from generate_series(1, $3::int) i returning id::text`,
      [new Date(NOW.getTime() - age * DAY * 1000), org, rows],
    )
  ).map((r) => r.id);
const ofAcme = (more = {}) => ({
  once: randomUUID(),
  scope: 'organization',
  subject: ACME,
  reason: 'HOLD-12',
  reviewAt: '2026-06-01',
  ...more,
});
const place = async (more = {}): Promise<string> => {
  const placed = await send(s, placeHoldRoute, 'otto', ofAcme(more));
  expect(placed.said?.done).toBe(true);
  return placed.path.split('/').at(-1)!;
};

describe('placing a hold', () => {
  it('protects at once, says what it keeps, and is listed with its day of review', async () => {
    await put(40, ACME, 3);
    await put(40, null, 2);
    const placed = await send(s, placeHoldRoute, 'otto', ofAcme());
    expect(placed.said).toMatchObject({ done: true, text: expect.stringContaining('it keeps 3 rows now') });
    expect(placed.path).toMatch(/^\/holds\/[0-9a-f-]{36}$/);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2, kept: { held: 3 } });
    const { entries } = await holds(s, { released: false });
    expect(entries).toMatchObject([
      {
        reason: 'HOLD-12',
        placed_by: 'otto',
        review_at: '2026-06-01T00:00:00.000Z',
        keeps: { matches: 'some' },
      },
    ]);
    expect(await chain(e.db)).toEqual(['hold.placed otto']);
  });

  it('a form that is sent twice places one hold', async () => {
    await put(40);
    const typed = ofAcme();
    const [one, two] = await Promise.all([
      send(s, placeHoldRoute, 'otto', typed),
      send(s, placeHoldRoute, 'otto', typed),
    ]);
    expect([one.said?.done, two.said?.done]).toEqual([true, true]);
    expect([one.said?.text, two.said?.text].filter((t) => t === 'This hold is placed already.')).toHaveLength(
      1,
    );
    expect(await chain(e.db)).toEqual(['hold.placed otto']);
  });

  it.each([
    ['without a reason', { reason: '' }, 'reason'],
    ['without an id', { subject: '' }, 'subject'],
    ['of nobody knows whom', { subject: randomUUID() }, 'subject'],
    ['of a table that no policy governs', { scope: 'item', table: 'public.users' }, 'table'],
    ['without a scope', { scope: '' }, 'scope'],
  ])('%s is refused at its field, with what was typed', async (_, wrong, field) => {
    await put(40);
    const answer = await send(s, placeHoldRoute, 'otto', ofAcme(wrong));
    expect(answer).toMatchObject({ path: '/holds/new', said: { done: false, field } });
    expect(answer.said!.typed).toMatchObject({ reviewAt: '2026-06-01', ...wrong });
    expect(await chain(e.db)).toEqual([]);
  });

  it('is for who operates, on this site; and works while Redis is away', async () => {
    const [key] = await put(40);
    const row = ofAcme({ scope: 'item', subject: key, table: 'public.things' });
    await refusesStrangers(s, e.db, placeHoldRoute, row);
    expect((await placeHoldRoute(() => s).POST(await form(s, 'anna', row))).status).toBe(403);
    expect((await send(withoutRedis(s), placeHoldRoute, 'otto', row)).said?.done).toBe(true);
  });
});

describe('releasing a hold', () => {
  const release = (id: string, more = {}) => ({ id, confirm: 'HOLD-12', reason: 'settled', ...more });

  it('says what becomes deletable, and lets it go by another person, once', async () => {
    await put(40, ACME, 3);
    await put(5, ACME, 4);
    const id = await place();
    const free = await whatIsReleased(s, (await holdOf(s, id))!);
    expect(free).toMatchObject({ due: [{ policy: 'things', rows: 3 }], complete: true });
    expect(free.covers).toMatchObject([{ table: 'public.things', rows: 7 }]);
    const answer = await send(s, releaseHoldRoute, 'anna', release(id));
    expect(answer).toMatchObject({ path: '/holds', said: { done: true } });
    const again = await send(s, releaseHoldRoute, 'maria', release(id));
    expect(again.said).toMatchObject({ done: true, text: 'anna has released this hold already.' });
    expect(await chain(e.db)).toEqual(['hold.placed otto', 'hold.released anna']);
    expect(await e.run(policy)).toMatchObject({ deleted: 3 });
  });

  it('of one row counts that row alone', async () => {
    const [key] = await put(40, ACME, 3);
    const id = await place({ scope: 'item', subject: key, table: 'public.things' });
    expect((await whatIsReleased(s, (await holdOf(s, id))!)).due).toEqual([{ policy: 'things', rows: 1 }]);
  });

  it('takes the name of the case, a person who approves, and not the one who placed it', async () => {
    await put(40);
    const id = await place();
    const wrong = await send(s, releaseHoldRoute, 'anna', release(id, { confirm: 'hold-12' }));
    expect(wrong).toMatchObject({ path: `/holds/${id}`, said: { done: false, field: 'confirm' } });
    await refusesStrangers(s, e.db, releaseHoldRoute, release(id));
    expect((await releaseHoldRoute(() => s).POST(await form(s, 'otto', release(id)))).status).toBe(403);
    const mine = await send(s, placeHoldRoute, 'maria', ofAcme({ reason: 'HOLD-13' }));
    const own = await send(
      s,
      releaseHoldRoute,
      'maria',
      release(mine.path.split('/').at(-1)!, { confirm: 'HOLD-13' }),
    );
    expect(own.said).toMatchObject({ done: false, text: expect.stringContaining('second person') });
    expect(await chain(e.db)).toEqual(['hold.placed otto', 'hold.placed maria']);
    expect(await e.run(policy)).toMatchObject({ deleted: 0 });
  });
});

it('a review keeps the hold and names the next day, once', async () => {
  await put(40);
  const id = await place();
  const review = { id, reviewAt: '2026-09-01', reason: 'the case goes on' };
  expect((await send(s, reviewHoldRoute, 'otto', review)).said?.done).toBe(true);
  expect((await send(s, reviewHoldRoute, 'otto', review)).said?.text).toContain('already');
  expect((await send(s, reviewHoldRoute, 'otto', { ...review, reviewAt: 'soon' })).said?.field).toBe(
    'reviewAt',
  );
  await refusesStrangers(s, e.db, reviewHoldRoute, review);
  expect(await chain(e.db)).toEqual(['hold.placed otto', 'hold.reviewed otto']);
});

describe('extensions', () => {
  const row = (key: string, more = {}) => ({
    ...{ table: 'public.things', key, keepUntil: '2026-09-01', reason: 'asked for, ticket 9' },
    ...more,
  });

  it('a row stays until the day that was named; ended by another role with its key typed, it goes', async () => {
    const [key] = await put(40);
    expect((await send(s, setExtensionRoute, 'otto', row(key!))).said).toMatchObject({ done: true });
    expect((await send(s, setExtensionRoute, 'otto', row(key!))).said?.done).toBe(true);
    expect((await extensions(s)).entries).toMatchObject([
      { row_key: key, keep_until: '2026-09-01T00:00:00.000Z' },
    ]);
    expect(await e.run(policy)).toMatchObject({ deleted: 0, kept: { extended: 1 } });
    const end = { table: 'public.things', key: key!, confirm: key!, reason: 'no more' };
    await refusesStrangers(s, e.db, endExtensionRoute, end);
    const wrong = await send(s, endExtensionRoute, 'anna', { ...end, confirm: 'x' });
    expect(wrong.said).toMatchObject({ done: false, field: 'confirm' });
    expect((await send(s, endExtensionRoute, 'anna', end)).said?.done).toBe(true);
    const again = await send(s, endExtensionRoute, 'anna', end);
    expect(again.said).toMatchObject({ done: false, text: expect.stringContaining('no extension in force') });
    expect(await e.run(policy)).toMatchObject({ deleted: 1 });
    expect(await chain(e.db)).toEqual(['extension.set otto', 'extension.set otto', 'extension.ended anna']);
  });

  it('is refused at its field for what is no row and no day', async () => {
    const [key] = await put(40);
    const cases: [Record<string, string>, string][] = [
      [row(randomUUID()), 'key'],
      [row(key!, { table: 'public.users' }), 'table'],
      [row(key!, { keepUntil: '' }), 'keepUntil'],
    ];
    for (const [typed, field] of cases) {
      const answer = await send(s, setExtensionRoute, 'otto', typed);
      expect(answer.said).toMatchObject({ done: false, field, typed: { reason: typed.reason } });
    }
    await refusesStrangers(s, e.db, setExtensionRoute, row(key!));
    expect(await chain(e.db)).toEqual([]);
  });

  it('of an organization’s day keeps the rows that were looked at, and is refused when they are others', async () => {
    await put(28.5, ACME, 3);
    const about = { policy: 'things', organization: ACME, day: '2026-03-03' };
    const { digest } = await comingDay(s, about);
    const typed = { ...about, digest, keepUntil: '2026-09-01', reason: 'holiday' };
    await refusesStrangers(s, e.db, extendDayRoute, typed);
    await put(28.4);
    const stale = await send(s, extendDayRoute, 'otto', typed);
    expect(stale.said).toMatchObject({
      done: false,
      text: expect.stringContaining('other rows are due that day now (4)'),
    });
    const now = await comingDay(s, about);
    const answer = await send(s, extendDayRoute, 'otto', { ...typed, digest: now.digest });
    expect(answer.said).toMatchObject({ done: true, text: expect.stringContaining('4 rows stay') });
    expect((await send(s, extendDayRoute, 'otto', { ...typed, digest: now.digest })).said?.done).toBe(false);
    expect(await left(e.db, 'retention.extension')).toBe(4);
  });
});

it('lists go page by page, from the newest on, and each row stands once', async () => {
  await e.db.sql(`insert into retention.hold (scope, subject, reason, placed_by, placed_at)
    select 'user', 'u' || i, 'case ' || i, 'ann', '2026-01-01'::timestamptz + make_interval(mins => i / 2) from generate_series(1, 120) i`);
  const seen: string[] = [];
  let after: string | undefined;
  for (let page = 0; page < 4 && (page === 0 || after !== undefined); page += 1) {
    const found = await holds(s, { released: false, after });
    seen.push(...found.entries.map((h) => h.subject));
    after = found.next ?? undefined;
  }
  expect(after).toBeUndefined();
  expect(seen).toHaveLength(120);
  expect(new Set(seen).size).toBe(120);
  expect(['u119', 'u120']).toContain(seen[0]);
  await expect(holds(s, { released: false, after: "2026'; drop" })).rejects.toMatchObject({ status: 400 });
});
