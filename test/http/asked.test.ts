import { expect, it } from 'vitest';
import { z } from 'zod';
import { checked, reason } from '@/lib/http/asked';

const Asked = z.strictObject({ user: z.string(), reason });
const said = (given: unknown) => {
  try {
    return checked(Asked, given);
  } catch (error) {
    return (error as Error).message;
  }
};

it('names a field that is unknown, and those there are', () => {
  expect(said({ user: '7', reason: 'ticket 12', scope: 'user' })).toBe(
    'scope: is not a field; the fields are user, reason',
  );
});

it('takes no reason that would read otherwise than it is recorded', () => {
  const wrong = ['two\nlines', 'no \u202eevil', 'no \u2067evil'];
  for (const text of wrong)
    expect(said({ user: '7', reason: text })).toMatch(/^reason: must not hold control/);
  expect(said({ user: '7', reason: 'לבקשת הלקוח' })).toMatchObject({ user: '7' });
});
