import { expect, it } from 'vitest';
import { type HeapWalkRequest, walkHeap } from '@/lib/engine/run/heap-walk';
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
    done: async () => true,
  };
  expect(await walkHeap(order)).toBe(null);
  const due = sent.flatMap((b) => Array.from({ length: b.to - b.from }, (_, i) => b.from + i));
  expect(new Set(due).size).toBe(due.length);
  expect(Math.min(...due.filter((b) => b >= 256))).toBe(356);
  expect(Math.max(...due)).toBe(999);
}, 5_000);
