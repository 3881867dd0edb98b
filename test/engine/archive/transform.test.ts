/** What a batch is told of the rows in its archive. */
import { expect, it } from 'vitest';
import { Told } from '@/lib/engine/archive/transform';

it('names every row by its key, whatever text that is', () => {
  const told = new Told();
  const row = { above: [], organization: null, user: null, values: [], files: [] };
  for (const key of ['__proto__', 'constructor', 'a'])
    told.add(0, { ...row, key, version: `v of ${key}`, root: key }, false);
  told.add(1, { ...row, key: 'below', version: '1', root: '__proto__' }, false);
  expect(JSON.stringify(told.versions)).toBe(
    '{"__proto__":"v of __proto__","constructor":"v of constructor","a":"v of a"}',
  );
  expect(JSON.stringify(told.below)).toBe('{"__proto__":1}');
});
