import { expect, it } from 'vitest';
import { days, forever, hours } from '@/lib/policies/contract';
import { inWords } from '@/lib/policies/in-words';
import { thingsPolicy } from '../support/engine';

it('tells each rule of a policy with its period', () => {
  const rules = [
    { label: 'read', keepFor: days(30), match: { note: 'r' } },
    { label: 'draft', keepFor: hours(36), match: { note: 'd' } },
    { label: 'kept', keepFor: forever(), match: { note: 'k' } },
  ];
  expect(inWords(thingsPolicy({ rules }))).toEqual([
    'read: after 30 days',
    'draft: after 36 hours',
    'kept: kept forever',
  ]);
});

it('says of a soft deletion that rows are marked first', () => {
  const strategy = { kind: 'soft-delete' as const, column: 'gone', purgeAfter: days(7) };
  expect(inWords(thingsPolicy({ strategy }))).toEqual(['all: after 30 days (marked first, purged later)']);
});
