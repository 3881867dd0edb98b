import { expect, it } from 'vitest';
import { Tally } from '@/lib/engine/run/tally';

it('adds up batches and looks, and counts as batches those that deleted', () => {
  const tally = new Tally();
  tally.add({ picked: 10, deleted: 7, files: 3, kept: { held: 2, busy: 1 } });
  tally.add({ picked: 5, deleted: 0, files: 0, kept: { held: 5 } });
  tally.add({ picked: 4, kept: { referenced: 4 } });
  expect(tally).toMatchObject({ batches: 1, picked: 19, deleted: 7, files: 3 });
  expect(tally.kept).toMatchObject({ held: 7, busy: 1, referenced: 4, extended: 0 });
});

it('says of what stays how much a row below keeps, by its table', () => {
  const tally = new Tally();
  tally.add({ picked: 9, kept: { held: 2, 'held by public.note': 3, 'referenced by public.pin': 1 } });
  tally.add({ picked: 3, kept: { 'held by public.note': 1, 'held by a by b.c': 2 } });
  expect(tally.kept).toMatchObject({ held: 8, referenced: 1 });
  expect(tally.keptBelow).toEqual({
    held: { 'public.note': 4, 'a by b.c': 2 },
    referenced: { 'public.pin': 1 },
  });
  tally.takeBack({ 'held by public.note': 4, held: 1 });
  expect(tally.kept).toMatchObject({ held: 3 });
  expect(tally.keptBelow).toEqual({ held: { 'a by b.c': 2 }, referenced: { 'public.pin': 1 } });
});

it('counts a partition that was dropped as a batch, also when it was empty', () => {
  const tally = new Tally();
  tally.add({ picked: 0, deleted: 0, files: 0, kept: {}, batches: 1 });
  expect(tally.batches).toBe(1);
});

it('takes back what a sweep kept, and nothing else', () => {
  const tally = new Tally();
  tally.add({ picked: 3, kept: { held: 3 } });
  tally.add({ picked: 3, deleted: 1, kept: { held: 2 } });
  tally.takeBack({ ...new Tally().kept, held: 2 });
  expect(tally.kept.held).toBe(3);
  expect(tally).toMatchObject({ picked: 6, deleted: 1 });
});

it('changes what stays only by adding and taking back', () => {
  const tally = new Tally();
  tally.kept.held = 5;
  expect(tally.kept.held).toBe(0);
});
