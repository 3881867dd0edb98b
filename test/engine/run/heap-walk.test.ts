import { expect, it } from 'vitest';
import { type HeapWalkRequest, walkHeap } from '@/lib/engine/run/heap-walk';
import { ALONE, type Bounds, IN_COMPANY } from '@/lib/engine/run/pace';
import { BatchResult } from '@/lib/engine/statement/batch';
import type { Blocks } from '@/lib/engine/statement/heap';

const deleting = (deleted: number) =>
  BatchResult.parse({
    picked: deleted,
    deleted,
    dependants_deleted: 0,
    files: 0,
    bytes: 0,
    by_rule: {},
    kept: {},
    after: { ended: false, clock: null, key: [] },
  });

it('finishes what a look ahead gives back though others came and the lane beside it has ended', async () => {
  const sent: Blocks[] = [];
  let isInCompany = false;
  let release: (() => void) | undefined;
  const order: HeapWalkRequest = {
    from: 0,
    end: 1_000,
    lanes: 2,
    async send(blocks) {
      sent.push(blocks);
      if (sent.length === 1) {
        // The first lane's only batch, which ends while the other lane looks at all the rest.
        await new Promise<void>((done) => {
          release = done;
        });
        return deleting(5);
      }
      return deleting(sent.length === 2 ? 0 : 5);
    },
    async firstDue(range) {
      release!();
      await new Promise((done) => setTimeout(done, 20));
      isInCompany = true;
      return range.from + 100;
    },
    stopBefore: () => null,
    isPressed: () => false,
    isInCompany: () => isInCompany,
    bounds: () => (isInCompany ? IN_COMPANY : ALONE),
    done: async () => true,
  };
  expect(await walkHeap(order)).toBe(null);
  const due = sent.flatMap((b) => Array.from({ length: b.to - b.from }, (_, i) => b.from + i));
  expect(new Set(due).size).toBe(due.length);
  expect(Math.min(...due.filter((b) => b >= 256))).toBe(356);
  expect(Math.max(...due)).toBe(999);
});

it.each([
  ['alone, as many rows as a receipt may hold', ALONE, 100, 40_000],
  ['in company, few', IN_COMPANY, 15, 2_000],
] as const)('takes %s, however fast a batch was', async (_, bounds: Bounds, rowsABlock, most) => {
  const sent: number[] = [];
  const order: HeapWalkRequest = {
    from: 0,
    end: 20_000,
    lanes: 1,
    async send({ from, to }) {
      sent.push((to - from) * rowsABlock);
      return { ...deleting(sent.at(-1)!), statement_ms: 1 };
    },
    firstDue: async () => null,
    stopBefore: () => null,
    isPressed: () => false,
    isInCompany: () => bounds === IN_COMPANY,
    bounds: () => bounds,
    done: async () => true,
  };
  expect(await walkHeap(order)).toBe(null);
  expect(Math.max(...sent.slice(1))).toBeLessThanOrEqual(most);
  expect(Math.max(...sent)).toBeGreaterThan(most * 0.95);
});
