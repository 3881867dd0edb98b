/**
 * `npm run proof:rights [-- --only erasure]`: what people's rights promise, shown on a local cloud. Each part is a file of
 * lib/dev/proof/rights. The last line holds all figures; ends with code 1 when anything does not hold.
 */
import { parseArgs } from 'node:util';
import { PARTS } from '../proof/rights';
import type { Part } from '../proof/rights/part';

const { values } = parseArgs({ options: { only: { type: 'string', multiple: true } } });
const names = PARTS.map((p) => p.name);
const wanted = values.only ?? names;
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`--only takes ${names.join(', ')}; there is no ${unknown.join(', ')}`);
  process.exit(2);
}

const figures: string[] = [];
const problems: string[] = [];
for (const part of PARTS.filter((p) => wanted.includes(p.name))) await prove(part);
for (const problem of problems) console.log(`FAIL ${problem}`);
console.log(`${problems.length === 0 ? 'ok' : `${problems.length} problems`}  ${figures.join('  ')}`);
process.exitCode = problems.length === 0 ? 0 : 1;

async function prove(part: Part): Promise<void> {
  const began = performance.now();
  console.log(part.name);
  try {
    const proved = await part.prove((line) => console.log(`   ${line}`));
    figures.push(...Object.entries(proved.figures).map(([name, n]) => `${part.name}.${name}=${n}`));
    problems.push(...proved.problems.map((p) => `${part.name}: ${p}`));
  } catch (error) {
    problems.push(`${part.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  figures.push(`${part.name}.seconds=${((performance.now() - began) / 1000).toFixed(1)}`);
}
