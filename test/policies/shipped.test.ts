import { afterEach, describe, expect, it } from 'vitest';
import { examplePermanentTables, examplePolicies } from '@/lib/example/policies';
import { prefixesOf } from '@/lib/files/folders';
import { permanentTables, policies } from '@/lib/policies';
import { withDerived } from '@/lib/policies/derived';
import { type Engine, engine, fitsDatabase } from '../support/engine';

let e: Engine;
afterEach(() => e?.stop());
const shipped = withDerived(examplePolicies);

describe('the policies that ship', () => {
  it.each(shipped.map((p) => [p.name, p] as const))('%s fits the example database', async (_, policy) => {
    e = await engine();
    expect(await fitsDatabase(e, policy)).toEqual([]);
  });

  it('are all listed, and so is the permanent blacklist', () => {
    expect(policies.map((p) => p.name)).toEqual(expect.arrayContaining(shipped.map((p) => p.name)));
    expect(permanentTables).toEqual(expect.arrayContaining([...examplePermanentTables]));
    expect(examplePermanentTables.map((t) => t.name)).toEqual(['email-blacklist']);
  });

  it('run at different minutes', () => {
    const all = shipped.flatMap((p) => [p.schedule.run, p.schedule.resume].filter(Boolean));
    expect(new Set(all).size).toBe(all.length);
  });

  it('name files below three prefixes', () => {
    expect(prefixesOf(shipped)).toEqual(['artifacts/', 'pdfs/', 'tmp/']);
  });
});
