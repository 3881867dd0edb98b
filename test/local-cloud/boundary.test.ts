import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';

/** The command line starts it; nothing that is deployed may know that it exists. */
const MAY = [/^lib\/local-cloud\//, /^lib\/cli\//];

it('nothing in app or the rest of lib imports the local cloud', async () => {
  const files = (
    await Promise.all(
      ['app', 'lib'].map((top) => readdir(top, { recursive: true }).then((l) => l.map((f) => join(top, f)))),
    )
  )
    .flat()
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => /\.(ts|tsx|mts|mjs|js)$/.test(file));
  expect(files.filter((file) => MAY.some((m) => m.test(file))).length).toBeGreaterThan(20);
  const offenders: string[] = [];
  for (const file of files.filter((f) => !MAY.some((m) => m.test(f)))) {
    if (/(from|import|require)\s*\(?\s*['"][^'"]*local-cloud/.test(await readFile(file, 'utf8')))
      offenders.push(file);
  }
  expect(offenders).toEqual([]);
});
