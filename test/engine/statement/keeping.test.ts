/** What the database answers of rows that stay is read by its reasons: anything else is no answer. */
import { expect, it } from 'vitest';
import { KeptCounts, KeptReason } from '@/lib/engine/statement/keeping';

it('a reason is read with and without the table whose rows keep it', () => {
  expect(KeptReason.parse('held')).toBe('held');
  expect(KeptReason.parse('held by public.invoices')).toBe('held');
  expect(KeptCounts.parse({ held: '2', 'held by public.invoices': 1 })).toEqual({
    held: 2,
    'held by public.invoices': 1,
  });
});

it('what is no reason is refused by its name', () => {
  expect(KeptReason.safeParse('mislaid').error?.message).toContain('mislaid is no reason to keep a row');
  expect(KeptCounts.safeParse({ mislaid: 1 }).error?.message).toContain('is no reason to keep a row');
});
