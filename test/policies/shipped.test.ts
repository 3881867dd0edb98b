import { afterEach, expect, it } from 'vitest';
import { policies } from '@/lib/policies';
import { type Engine, engine, fitsDatabase } from '../support/engine';

let e: Engine;
afterEach(() => e?.stop());

it.each(policies.map((p) => [p.name, p] as const))('%s fits the example database', async (_, policy) => {
  e = await engine();
  expect(await fitsDatabase(e, policy)).toEqual([]);
});
