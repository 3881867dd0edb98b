import { expect, it } from 'vitest';
import { refusals } from '@/lib/http/refusals';
import { RequestError } from '@/lib/platform/errors';

const wrong = new RequestError(401, 'unauthorized', 'no');
const status = (work: () => never): number => {
  try {
    work();
  } catch (error) {
    return (error as RequestError).status;
  }
};

it('refuses thirty a minute with their reason, the others with 429, and anew in the next minute', () => {
  let now = 0;
  const strangers = refusals(() => now);
  const all = Array.from({ length: 32 }, () => status(() => strangers.refuse(wrong)));
  expect(all.slice(0, 30).every((s) => s === 401)).toBe(true);
  expect(all.slice(30)).toEqual([429, 429]);
  now = 60_000;
  expect(status(() => strangers.refuse(wrong))).toBe(401);
});
