import { expect, it } from 'vitest';
import { Sequence } from '@/lib/engine/run/seqs';

it('gives out the numbers from 1 on, and first those given back, the lowest before the others', () => {
  const seqs = new Sequence();
  expect([seqs.take(), seqs.take(), seqs.take()]).toEqual([1, 2, 3]);
  seqs.giveBack(3);
  seqs.giveBack(1);
  expect([seqs.take(), seqs.take(), seqs.take()]).toEqual([1, 3, 4]);
});
