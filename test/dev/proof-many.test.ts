/** `npm run proof:shapes -- --partitions N`, small: what is asked does not grow with the partitions, nor what is locked at once. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Proved, proveMany } from '@/lib/dev/proof/many/prove';
import { byDay, type ManyTable, nested } from '@/lib/dev/proof/many/tables';
import { type World, world } from '@/lib/dev/proof/shapes/world';
import { type PrivateCloud, privateCloud } from '../support/cloud';

let cloud: PrivateCloud;
let here: World;
beforeAll(async () => {
  cloud = await privateCloud();
  here = await world(cloud);
});
afterAll(async () => {
  await here?.end();
  await cloud?.stop();
});

async function proved(table: ManyTable): Promise<Proved> {
  const place = await here.place();
  try {
    return await proveMany(place, table);
  } finally {
    await place.end();
  }
}
const of = ({ steps }: Proved, what: string) => steps.find((s) => s.what === what)!;

/** A server has room for some six thousand locks; each partition asked takes four. */
const MOST_LOCKS = 200;

it.each([
  ['nested', nested, 54],
  ['by day', byDay, 199],
] as const)(
  'of six hundred partitions, %s, only those with something to give are asked by themselves',
  {
    timeout: 120_000,
  },
  async (_, table, giving) => {
    const proof = await proved(table(600));
    expect(proof.problems).toEqual([]);
    expect(Math.max(...proof.steps.map((s) => s.mostLocks))).toBeLessThan(MOST_LOCKS);
    expect(of(proof, 'preflight').requests).toBe(1);
    expect(of(proof, 'run with nothing to do').requests).toBe(1);
    expect(of(proof, 'backlog').requests).toBe(2);
    expect(of(proof, 'dry run').requests).toBeLessThan(giving + 10);
    expect(of(proof, 'run').requests).toBeLessThan(giving + 10);
  },
);

it('more partitions than a thousand are opened in several calls, each with room for its locks', {
  timeout: 120_000,
}, async () => {
  const place = await here.place();
  try {
    const table = nested(1100);
    for (const statement of table.made) await place.owner.query(statement);
    const left = async () =>
      Number(
        (await place.owner.query(`select retention.open_partitions('${table.name}') as left`)).rows[0].left,
      );
    const guards = async () =>
      Number(
        (await place.owner.query(`select count(*) as n from pg_trigger where tgname = 'lapse_guard'`)).rows[0]
          .n,
      );
    // The root and eleven regions have a guard, too.
    expect(await left()).toBe(112);
    expect(await guards()).toBe(1000);
    expect(await left()).toBe(0);
  } finally {
    await place.end();
  }
});
