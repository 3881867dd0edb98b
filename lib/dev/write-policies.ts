/**
 * Writes new policies into the project: all their files, the register, the data map and vercel.json, or nothing. A file
 * that is there is never overwritten. Works in the current folder.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { policies } from '../policies';
import type { PolicyInput } from '../policies/contract';
import { policyFile, routeFile, testFile, withEntry } from './scaffold';

const REGISTER = 'lib/policies/index.ts';

export interface NewFile {
  readonly file: string;
  readonly content: string;
}

export interface NewPolicy {
  readonly input: PolicyInput;
  readonly remarks?: Parameters<typeof policyFile>[1];
}

/** The files that these policies need, the register last. Throws what keeps them from being written. */
export function filesOf(added: readonly NewPolicy[]): NewFile[] {
  const names = new Set(policies.map((p) => p.name));
  for (const { input } of added) {
    if (names.has(input.name)) throw new Error(`there is a policy "${input.name}" already`);
    names.add(input.name);
  }
  const files = added.flatMap(({ input, remarks }) => [
    { file: `lib/policies/${input.name}.ts`, content: policyFile(input, remarks) },
    { file: `app/api/cron/${input.name}/route.ts`, content: routeFile(input.name) },
    { file: `test/policies/${input.name}.test.ts`, content: testFile(input.name) },
  ]);
  const there = files.filter(({ file }) => existsSync(file)).map(({ file }) => file);
  if (there.length > 0) throw new Error(`not overwritten: ${there.join(', ')}`);
  if (added.length === 0) return [];
  const register = added.reduce(
    (text, { input }) => withEntry(text, input.name),
    readFileSync(REGISTER, 'utf8'),
  );
  return [...files, { file: REGISTER, content: register }];
}

/** Writes, formats, and brings up to date what is made from the policies: vercel.json, and the policy in plain words. */
export function write(files: readonly NewFile[]): void {
  for (const { file, content } of files) {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  const code = files.map((f) => f.file).filter((file) => file.endsWith('.ts'));
  if (code.length === 0) return;
  run('node_modules/@biomejs/biome/bin/biome', ['check', '--write', ...code]);
  run('node_modules/tsx/dist/cli.mjs', ['lib/dev/cli/crons.ts']);
  run('node_modules/tsx/dist/cli.mjs', ['lib/dev/cli/docs-retention.ts']);
}

function run(script: string, args: string[]): void {
  const done = spawnSync(process.execPath, [script, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (done.status !== 0) throw new Error(`${path.basename(script)} failed`);
}
