/**
 * `npm run policy:new [-- --name … --table … …]`: one policy, as `npm run adopt` writes it. With MIGRATION_DATABASE_URL or
 * DATABASE_URL the catalog answers what it can and a person says the rest; without, every question is asked.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { dataMap } from '../../policies/data-map';
import { mapped } from '../adopt/map-lines';
import { adoptFlags, type PolicyAnswers, policyOf, QUESTIONS } from '../policy-answers';
import { filesOf, write } from '../write-policies';

const DATA_MAP = 'lib/policies/data-map.ts';
type Given = Partial<Record<keyof PolicyAnswers, string>>;

try {
  const { values } = parseArgs({
    options: Object.fromEntries(QUESTIONS.map(([name]) => [name, { type: 'string' as const }])),
  });
  const given = values as Given;
  // Who says the key has no need of the catalog.
  if (given.key === undefined && (process.env.MIGRATION_DATABASE_URL ?? process.env.DATABASE_URL)) {
    process.exitCode = byCatalog(given);
  } else await bySaying(given);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

function byCatalog(given: Given): number {
  if (given.table === undefined && !process.stdin.isTTY) throw new Error('--table is missing');
  const args = ['node_modules/tsx/dist/cli.mjs', 'lib/dev/cli/adopt.ts', ...adoptFlags(given), '--yes'];
  const isAsked = process.stdin.isTTY;
  return spawnSync(process.execPath, isAsked ? args.slice(0, -1) : args, { stdio: 'inherit' }).status ?? 1;
}

async function bySaying(given: Given): Promise<void> {
  const answers = await ask(given);
  const input = policyOf({ ...answers, days: Number(answers.days) } as unknown as PolicyAnswers);
  const label = `${input.table.schema ?? 'public'}.${input.table.name}`;
  const map = mapped(readFileSync(DATA_MAP, 'utf8'), dataMap, new Map([[label, { policy: input.name }]]));
  const files = [
    ...filesOf([{ input }]),
    ...(map.written > 0 ? [{ file: DATA_MAP, content: map.text }] : []),
  ];
  write(files);
  for (const { file } of files) console.log(`wrote ${file}`);
  for (const line of map.left) console.log(line);
  console.log(
    `\nNext: npm run policy:check (which index or grant is missing in your database), then a dry run of /api/cron/${input.name}?dryRun=1`,
  );
}

async function ask(given: Given): Promise<Record<string, string>> {
  const answers: Record<string, string> = {};
  const lines = process.stdin.isTTY
    ? createInterface({ input: process.stdin, output: process.stdout })
    : null;
  for (const [name, question, otherwise] of QUESTIONS) {
    const said =
      given[name] ??
      (lines ? await lines.question(`${question}${otherwise ? ` [${otherwise}]` : ''}: `) : '');
    const answer = said.trim() || otherwise;
    if (answer === undefined) throw new Error(`--${name} is missing: ${question}`);
    answers[name] = answer;
  }
  lines?.close();
  return answers;
}
