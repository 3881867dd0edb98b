/**
 * `npm run policy:new [-- --name … --table … …]`: asks what it is not told, checks the answers as the contract
 * would, then writes policy, route, test, registry and vercel.json. Never overwrites a file.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { policies } from '../../policies';
import { checked, type NewPolicy, policyFile, registered, routeFile, testFile } from '../scaffold';

/** Each question with its default; none means it must be answered. */
const QUESTIONS: readonly [keyof NewPolicy, string, string?][] = [
  ['name', 'Name: its route and file, e.g. quiz-responses'],
  ['table', 'Table, e.g. public.quiz_responses'],
  ['key', 'Key column', 'id'],
  ['keyType', 'Type of the key', 'uuid'],
  ['keyPersonal', 'A key of text: could it name a person, as an address does? yes or no', ''],
  ['clock', 'Column that starts the clock, e.g. completed_at'],
  ['clockType', 'Its type: timestamptz, timestamp or date', 'timestamptz'],
  ['days', 'Days to keep'],
  ['schedule', 'Schedule, UTC', '20 5 * * *'],
  ['organization', 'Column of the organisation, for legal holds (empty: none)', ''],
  ['user', 'Column of the user, for legal holds (empty: none)', ''],
  ['description', 'What goes, in one sentence'],
  ['justification', 'Why this long'],
  ['ground', 'Legal ground, e.g. GDPR Art. 5(1)(e)'],
];

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: Object.fromEntries(QUESTIONS.map(([name]) => [name, { type: 'string' as const }])),
  });
  const answers = await ask(values as Record<string, string | undefined>);
  const policy = { ...answers, days: Number(answers.days) } as unknown as NewPolicy;
  checked(policy);
  if (policies.some((p) => p.name === policy.name))
    throw new Error(`there is a policy "${policy.name}" already`);
  const files: [string, string][] = [
    [`lib/policies/${policy.name}.ts`, policyFile(policy)],
    [`app/api/cron/${policy.name}/route.ts`, routeFile(policy.name)],
    [`test/policies/${policy.name}.test.ts`, testFile(policy)],
  ];
  const there = files.filter(([file]) => existsSync(file)).map(([file]) => file);
  if (there.length > 0) throw new Error(`not overwritten: ${there.join(', ')}`);
  const index = registered(readFileSync('lib/policies/index.ts', 'utf8'), policy.name);
  for (const [file, content] of [...files, ['lib/policies/index.ts', index] as [string, string]]) {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
    console.log(`wrote ${file}`);
  }
  run('node_modules/@biomejs/biome/bin/biome', [
    'check',
    '--write',
    'lib/policies',
    `test/policies/${policy.name}.test.ts`,
  ]);
  run('node_modules/tsx/dist/cli.mjs', ['lib/dev/cli/crons.ts']);
  console.log(
    `\nNext: npm run policy:check (which index or grant is missing in your database), then a dry run of /api/cron/${policy.name}?dryRun=1`,
  );
}

async function ask(given: Record<string, string | undefined>): Promise<Record<string, string>> {
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

function run(script: string, args: string[]): void {
  const done = spawnSync(process.execPath, [script, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (done.status !== 0) throw new Error(`${path.basename(script)} failed`);
}
