/** `npm run proof:shapes -- --erasures`, small: erasures of random schemas go exactly, and what is not exact is noticed. */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '@/lib/dev/proof/erasures/generate';
import { inWords, prove } from '@/lib/dev/proof/erasures/proof';
import { type ErasureShape, KINDS } from '@/lib/dev/proof/erasures/shape';
import { attempt, type Meddling, settingsOf } from '@/lib/dev/proof/erasures/trial';
import { written } from '@/lib/dev/proof/erasures/written';
import { tableOf } from '@/lib/dev/proof/shapes/shape';
import { type World, world } from '@/lib/dev/proof/shapes/world';
import { type PrivateCloud, privateCloud } from '../support/cloud';
import { testRoot } from '../support/folder';

const SEED = 1;

let cloud: PrivateCloud;
beforeAll(async () => {
  cloud = await privateCloud();
});
afterAll(() => cloud?.stop());

it('each of a few random erasures goes exactly, or is refused with a remedy that works', {
  timeout: 180_000,
}, async () => {
  const said: string[] = [];
  const proof = await prove(cloud, {
    seed: SEED,
    numbers: Array.from({ length: 8 }, (_, i) => i),
    lanes: 2,
    folder: `${testRoot()}/erasures`,
    keepAll: false,
    say: (line) => said.push(line),
  });
  expect(said).toEqual([]);
  expect(proof.trials.filter((t) => t.verdict === 'exact').length).toBeGreaterThan(3);
  expect(proof.trials.filter((t) => t.done).length).toBeGreaterThan(2);
  expect(proof.trials.reduce((sum, t) => sum + t.gone, 0)).toBeGreaterThan(20);
  expect(proof.trials.reduce((sum, t) => sum + t.changed, 0)).toBeGreaterThan(10);
  expect(inWords(proof).at(-1)).toMatch(/^8 schemas: \d+ exact, \d+ refused, 0 wrong$/);
});

it('the same seed and number make the same schema, others make others', () => {
  const texts = [generate(SEED, 5), generate(SEED, 5), generate(SEED, 6), generate(SEED + 1, 5)].map(
    (shape) => JSON.stringify([written(shape), shape.map, shape.policies]),
  );
  expect(texts[0]).toBe(texts[1]);
  expect(new Set(texts).size).toBe(3);
});

it('each kind that is counted comes up in at least one of twenty schemas', () => {
  const shapes = Array.from({ length: 400 }, (_, number) => generate(SEED, number));
  const rare = KINDS.filter((kind) => shapes.filter((s) => s.kinds.includes(kind)).length < 20);
  expect(rare).toEqual([]);
});

describe('the proof notices', () => {
  let here: World;
  beforeAll(async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    here = await world(
      cloud,
      settingsOf(privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')),
    );
  });
  afterAll(() => here?.end());

  /** One that is done, and of whose tables none takes part in the erasure but the subject's. */
  const calm = (): ErasureShape => {
    for (let number = 0; ; number += 1) {
      const shape = generate(SEED, number);
      const isPlain = shape.after.length === 0 && shape.policies.length === 0 && shape.scope === 'user';
      if (isPlain && shape.kinds.length <= 1) return shape;
    }
  };
  const noticed = async (shape: ErasureShape, meddling: Meddling): Promise<string> => {
    const trial = await attempt(here, cloud, shape, meddling);
    expect(trial.verdict).toBe('wrong');
    return trial.problems.join('\n');
  };
  const past = (statement: string): Meddling => ({ afterErasure: ({ owner }) => owner.query(statement) });

  it('nothing where nothing is wrong', async () => {
    expect((await attempt(here, cloud, calm())).problems).toEqual([]);
  });

  it('a row of somebody else that is gone', async () => {
    const shape = calm();
    const [people] = shape.tables;
    const said = await noticed(shape, {
      afterErasure: async ({ owner }) => {
        await owner.query('set session_replication_role = replica');
        await owner.query(`delete from ${tableOf(people!)}`);
      },
    });
    expect(said).toContain('is gone and must be there');
  });

  it('a value that was changed', async () => {
    const shape = calm();
    const [people] = shape.tables;
    const said = await noticed(
      shape,
      past(`update ${tableOf(people!)} set "${people!.columns[1]!.name}" = 'x'`),
    );
    expect(said).toContain('is x, not person.');
  });

  it('a row that no receipt names', async () => {
    const said = await noticed(
      calm(),
      past('alter table retention.receipt disable trigger all; delete from retention.receipt'),
    );
    expect(said).toContain('is not in receipts');
  });
});
