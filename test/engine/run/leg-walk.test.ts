/** The lanes of one leg, over a table that is a list of numbers: each place is looked at once, whatever comes between. */
import { describe, expect, it } from 'vitest';
import { randomOf } from '@/lib/dev/proof/chaos';
import { leaseLost } from '@/lib/engine/run/endings';
import { lanesOf } from '@/lib/engine/run/lanes';
import { type LegWalkRequest, walkLeg } from '@/lib/engine/run/leg-walk';
import { Stretches, stretch } from '@/lib/engine/run/stretches';
import { BatchResult } from '@/lib/engine/statement/batch';

const END = 1_000;
/** Rows by their clocks; `null` is where the leg begins. */
interface Table {
  readonly clocks: readonly number[];
  readonly borders: readonly number[];
  readonly lanes: number;
  readonly limit?: number;
}

interface Walked {
  readonly seen: number[];
  readonly order: LegWalkRequest;
  atOnce: number;
  middles: number;
}

function walk({ clocks, borders, lanes, limit = 7 }: Table, random = randomOf(1)): Walked {
  const sorted = [...clocks].sort((a, b) => a - b);
  const starts = [null, ...borders.map((b) => ({ clock: String(b), key: [] as string[] }))];
  const stretches = new Stretches(
    starts.map((at, i) => stretch(at, borders[i] === undefined ? null : String(borders[i]))),
  );
  const seen: number[] = [];
  let atWork = 0;
  const walked: Walked = {
    seen,
    atOnce: 0,
    middles: 0,
    order: {
      stretches,
      lanes,
      isOneByOne: () => false,
      stopBefore: async () => null,
      isLost: async () => null,
      async send({ at, until }) {
        atWork += 1;
        walked.atOnce = Math.max(walked.atOnce, atWork);
        for (let turns = Math.floor(random() * 5); turns >= 0; turns -= 1) await new Promise(setImmediate);
        // The key of a row is its index in the table.
        const rows = sorted
          .map((clock, key) => ({ clock, key }))
          .filter((r) => until === null || r.clock < Number(until))
          .filter((r) => {
            if (at === null) return true;
            const from = Number(at.clock);
            return at.key.length === 0
              ? r.clock >= from
              : r.clock > from || (r.clock === from && r.key > Number(at.key[0]));
          })
          .slice(0, limit);
        seen.push(...rows.map((r) => r.key));
        atWork -= 1;
        const last = rows.at(-1);
        const ended = rows.length < limit;
        const result = BatchResult.parse({
          ...{
            picked: rows.length,
            deleted: rows.length,
            dependants_deleted: 0,
            files: 0,
            bytes: 0,
            by_rule: {},
            kept: {},
          },
          after: { ended, clock: last ? String(last.clock) : null, key: last ? [String(last.key)] : [] },
        });
        return { result, limit, seq: 1, tookMs: 1 };
      },
      async follow(low) {
        // What a cursor passes by has been looked at.
        const left = sorted.map((clock, key) => ({ clock, key })).filter((r) => !seen.includes(r.key));
        const first = left[0];
        if (low === null) expect(left).toEqual([]);
        else if (first && low.at) {
          const from = Number(low.at.clock);
          const isAhead =
            low.at.key.length === 0
              ? first.clock >= from
              : first.clock > from || first.key > Number(low.at.key[0]);
          expect(isAhead, JSON.stringify({ first, low })).toBe(true);
        }
      },
      async middle({ at, until }) {
        walked.middles += 1;
        const [from, to] = [Number(at!.clock), until === null ? END : Number(until)];
        const half = Math.floor((from + to) / 2);
        return half > from && half < to ? String(half) : null;
      },
    },
  };
  return walked;
}

const allOf = (table: Table) => table.clocks.map((_, key) => key);
const inOrder = (keys: readonly number[]) => [...keys].sort((a, b) => a - b);

it.each(Array.from({ length: 40 }, (_, seed) => seed))(
  'looks at each row once, and leaves none out (%i)',
  async (seed) => {
    const random = randomOf(seed);
    const skew = 1 + random() * 6;
    const clocks = Array.from({ length: Math.floor(random() * 300) }, () =>
      Math.floor(END * random() ** skew),
    );
    const borders = [
      ...new Set(
        Array.from({ length: Math.floor(random() * 8) }, () => 1 + Math.floor(random() * (END - 1))),
      ),
    ].sort((a, b) => a - b);
    const table = { clocks, borders, lanes: 1 + Math.floor(random() * 4) };
    const walked = walk(table, random);
    expect(await walkLeg(walked.order)).toBe(null);
    expect(inOrder(walked.seen)).toEqual(allOf(table));
    expect(walked.atOnce).toBeLessThanOrEqual(table.lanes);
  },
);

it('an idle lane takes half of what another has ahead', async () => {
  const table = { clocks: Array.from({ length: 600 }, (_, i) => i), borders: [5], lanes: 3 };
  const walked = walk(table);
  await walkLeg(walked.order);
  expect(walked.atOnce).toBe(3);
  expect(walked.middles).toBeGreaterThan(1);
  expect(inOrder(walked.seen)).toEqual(allOf(table));
});

it('what lies at one instant is halved in vain a few times only', async () => {
  const walked = walk({ clocks: Array.from({ length: 400 }, () => 0), borders: [1, 2], lanes: 3 });
  await walkLeg(walked.order);
  expect(walked.middles).toBeLessThan(10);
  expect(walked.seen).toHaveLength(400);
});

it('in company one lane works at a time, and all of it is done', async () => {
  const table = { clocks: Array.from({ length: 60 }, (_, i) => i * 10), borders: [200, 400], lanes: 3 };
  const walked = walk(table);
  expect(await walkLeg({ ...walked.order, isOneByOne: () => true })).toBe(null);
  expect(walked.atOnce).toBe(1);
  expect(inOrder(walked.seen)).toEqual(allOf(table));
});

describe('a reason to stop', () => {
  const table = { clocks: Array.from({ length: 300 }, (_, i) => i * 3), borders: [200, 400, 600], lanes: 3 };

  it('of one lane stops all, and none of them takes it back', async () => {
    const walked = walk(table);
    let asked = 0;
    const order: LegWalkRequest = {
      ...walked.order,
      // The first that asks hears it at once, and the others that nothing stops them only after it.
      async stopBefore() {
        asked += 1;
        if (asked === 3) return { ending: leaseLost };
        for (let i = 0; i < 50; i += 1) await new Promise(setImmediate);
        return null;
      },
    };
    expect(await walkLeg(order)).toEqual({ ending: leaseLost });
    expect(walked.seen.length).toBeLessThan(7 * 8);
  });

  it('is a lost lease: what is under way ends, and leaves no checkpoint', async () => {
    const walked = walk(table);
    let followed = 0;
    let isLost = false;
    const order: LegWalkRequest = {
      ...walked.order,
      isLost: async () => (isLost ? leaseLost : null),
      follow: async () => {
        expect(isLost).toBe(false);
        followed += 1;
        isLost = followed === 5;
      },
    };
    expect(await walkLeg(order)).toEqual({ ending: leaseLost });
    expect(followed).toBe(5);
  });

  it('is an error: the others end with the batch they are at, and it is thrown', async () => {
    const walked = walk(table);
    let sent = 0;
    const send: LegWalkRequest['send'] = (part) => {
      sent += 1;
      if (sent === 5) throw new Error('no');
      return walked.order.send(part);
    };
    await expect(walkLeg({ ...walked.order, send: async (part) => send(part) })).rejects.toThrow('no');
    expect(sent).toBeLessThanOrEqual(8);
  });
});

it.each([
  [
    'PostgreSQL as it comes, which says nothing of its cores',
    { neon: false, connections: 100, workers: 8 },
    2,
  ],
  ['one sized for four cores', { neon: false, connections: 100, workers: 4 }, 3],
  ['one sized for sixty-four', { neon: false, connections: 100, workers: 64 }, 4],
  ['one of a single core', { neon: false, connections: 100, workers: 1 }, 1],
  ['one that runs nothing beside a session', { neon: false, connections: 100, workers: 0 }, 1],
  ['Neon with a quarter of a unit', { neon: true, connections: 104, workers: 8 }, 1],
  ['Neon with two units', { neon: true, connections: 839, workers: 8 }, 1],
  ['Neon with four units', { neon: true, connections: 1_678, workers: 8 }, 3],
  ['Neon with nine units or more', { neon: true, connections: 4_000, workers: 8 }, 4],
])('%s: lanes for all cores but one', (_, server, lanes) => {
  expect(lanesOf(server)).toBe(lanes);
});
