import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { policies } from '@/lib/policies';
import { crons, vercelJson } from '@/lib/policies/crons';
import { orderReview } from '@/lib/policies/order-review';
import { REVIEW } from '@/test/support/order-review';

const registered = { policies, orderReview };

const written = JSON.parse(readFileSync('vercel.json', 'utf8')) as {
  crons: { path: string; schedule: string }[];
};
const line = (c: { path: string; schedule: string }) =>
  JSON.stringify({ path: c.path, schedule: c.schedule });

it('vercel.json holds exactly the schedules that are declared; `npm run crons` writes them', () => {
  const declared = crons(registered, 'pro').map(line);
  const there = written.crons.map(line);
  expect({
    missing: declared.filter((c) => !there.includes(c)),
    unknown: there.filter((c) => !declared.includes(c)),
  }).toEqual({
    missing: [],
    unknown: [],
  });
});

it('what is written keeps all else that stands in vercel.json', () => {
  const current = { regions: ['fra1'], crons: [{ path: '/api/gone', schedule: '0 0 * * *' }] };
  expect(vercelJson(registered, 'hobby', current)).toEqual({
    $schema: 'https://openapi.vercel.sh/vercel.json',
    regions: ['fra1'],
    crons: crons(registered, 'hobby'),
  });
  expect(vercelJson(registered, 'pro', { ...written })).toEqual(written);
});

it('every path has its route', () => {
  const without = written.crons.filter((c) => !existsSync(`app${c.path}/route.ts`)).map((c) => c.path);
  expect(without).toEqual([]);
});

it('on the Hobby plan nothing runs more than once a day', () => {
  const all = crons(registered, 'hobby');
  expect(all.filter((c) => !/^\d+ \d+ \* \* \*$/.test(c.schedule))).toEqual([]);
  expect(new Set(all.map((c) => c.path)).size).toBe(all.length);
});

it('the order review has its cron where one is declared, and none otherwise', () => {
  const has = (review: typeof orderReview) =>
    crons({ policies: [], orderReview: review }, 'pro').some((c) => c.path === '/api/cron/order-review-sla');
  expect([has(REVIEW), has(undefined)]).toEqual([true, false]);
});
