/**
 * `npm run proof:shapes [-- --schemas N] [--seed S] [--only K]`: random schemas and data under policies of every kind, each
 * refused with a remedy that works when it is followed, or emptied exactly as a second judgment says, which shares no code
 * with the engine. `--only` plays one of them again and leaves its SQL. Ends with code 1 when anything is wrong.
 * `--erasures`: instead, of each schema of another kind a person or an organization is erased by a random data map.
 * `--partitions N`: instead, Lapse over tables of so many partitions, with the requests, seconds and locks of each step.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startLocalCloud } from '../local-cloud';
import * as erasures from '../proof/erasures/proof';
import { proveMany } from '../proof/many/prove';
import { byDay, nested } from '../proof/many/tables';
import * as deletions from '../proof/shapes/proof';
import { type World, world } from '../proof/shapes/world';
import { wholeNumber } from '../whole-number';

const { values } = parseArgs({
  options: {
    schemas: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true },
    lanes: { type: 'string', default: '3' },
    folder: { type: 'string', default: '.lapse/shapes-proof' },
    partitions: { type: 'string' },
    erasures: { type: 'boolean', default: false },
  },
});
const only = values.only?.map((text) => wholeNumber('only', text, 0));
const schemas = wholeNumber('schemas', values.schemas, 1);
const options = {
  seed: wholeNumber('seed', values.seed, 0),
  numbers: only ?? Array.from({ length: schemas }, (_, i) => i),
  lanes: wholeNumber('lanes', values.lanes, 1),
  folder: values.folder,
  keepAll: only !== undefined,
  say: (line: string) => console.log(line),
};
const folder = await mkdtemp(join(tmpdir(), 'lapse-shapes-'));
const cloud = await startLocalCloud({ folder, durable: false, contents: 'memory' });
try {
  const here = await world(cloud);
  if (values.erasures) await shapes(() => erasures.prove(cloud, options), erasures.inWords);
  else if (values.partitions === undefined)
    await shapes(() => deletions.prove(here, options), deletions.inWords);
  else await many(here, wholeNumber('partitions', values.partitions, 1));
} finally {
  await cloud.stop();
  await rm(folder, { recursive: true, force: true });
}

async function many(here: World, partitions: number): Promise<void> {
  for (const table of [nested(partitions), byDay(partitions)]) {
    const place = await here.place();
    console.log(`${table.name}, ${partitions} partitions`);
    const { problems } = await proveMany(place, table, (s) =>
      console.log(
        `  ${s.what}: ${s.seconds.toFixed(1)} s, ${s.requests} requests, ${s.mostLocks} locks; ${s.says}`,
      ),
    );
    for (const problem of problems) console.log(`  wrong: ${problem}`);
    if (problems.length > 0) process.exitCode = 1;
    await place.end();
  }
}

async function shapes<P extends { readonly trials: readonly { readonly verdict: string }[] }>(
  prove: () => Promise<P>,
  inWords: (proof: P) => string[],
): Promise<void> {
  const began = performance.now();
  const proof = await prove();
  console.log(`seed ${options.seed}, ${((performance.now() - began) / 1000).toFixed(0)} s`);
  for (const line of inWords(proof)) console.log(line);
  process.exitCode = proof.trials.some((t) => t.verdict === 'wrong') ? 1 : 0;
}
