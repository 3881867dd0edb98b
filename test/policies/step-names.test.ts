import { expect, it } from 'vitest';
import { isErasureStep, policyInWords } from '@/lib/policies/step-names';

it('people read what a step of an erasure does, and a policy by its name', () => {
  expect(
    [
      'erasure:public.users',
      'erasure-mask:public.purchases',
      'erasure-detach:public.artifacts.user_id',
      'erasure-ended:public.invoices.vat',
      'quiz-responses',
    ].map((name) => [isErasureStep(name), policyInWords(name)]),
  ).toEqual([
    [true, 'erasure of public.users'],
    [true, 'erasure, masking public.purchases'],
    [true, 'erasure, clearing public.artifacts.user_id'],
    [true, 'erasure, emptying public.invoices.vat, no longer retained'],
    [false, 'quiz-responses'],
  ]);
});
