/**
 * `npm run proof:levels [-- --cases N] [--seed S] [--only K]`: trees of rows that go while another session writes to them, at each
 * statement of a batch and at each level; all cases unless so many are asked for. What is gone, named in receipts and said of the
 * rest is held against a judgment in plain SQL. Ends with code 1 when anything is wrong.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startLocalCloud } from '../local-cloud';
import { allCases, proveLevels, someCases } from '../proof/levels/proof';
import { world } from '../proof/shapes/world';
import { wholeNumber } from '../whole-number';

const { values } = parseArgs({
  options: {
    cases: { type: 'string' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true },
  },
});
const only = values.only?.map((text) => wholeNumber('only', text, 0));
const seed = wholeNumber('seed', values.seed, 0);
const chosen =
  values.cases === undefined ? allCases() : someCases(seed, wholeNumber('cases', values.cases, 0));
const cases = only ? allCases().filter((c) => only.includes(c.number)) : chosen;
const folder = await mkdtemp(join(tmpdir(), 'lapse-levels-'));
const cloud = await startLocalCloud({ folder, durable: false, contents: 'memory' });
try {
  const here = await world(cloud);
  const began = performance.now();
  const proof = await proveLevels(here, cases, (line) => console.log(`wrong: ${line}`));
  console.log(`${((performance.now() - began) / 1000).toFixed(0)} s`);
  console.log(
    `${proof.cases} cases: in ${proof.done} the other session's act was done, in ${proof.waited} it waited for the batch; ${proof.problems.length} wrong`,
  );
  process.exitCode = proof.problems.length > 0 ? 1 : 0;
} finally {
  await cloud.stop();
  await rm(folder, { recursive: true, force: true });
}
