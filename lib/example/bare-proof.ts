/**
 * `npm run proof:bare [-- --small] [-- --keep]`: removes the example in a copy of the project and runs there what CI
 * runs: checks, build and tests; `--small` leaves the build and most tests out. Ends with code 1 when one of them fails.
 * The project itself is not touched.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { keep: { type: 'boolean', default: false }, small: { type: 'boolean', default: false } },
});
const copy = mkdtempSync(path.join(tmpdir(), 'lapse-bare-'));
const started = Date.now();

const STEPS: readonly string[][] = [
  ['npm', 'run', 'example:remove'],
  ['npm', 'run', 'check'],
  ...(values.small
    ? [
        [
          'npx',
          'vitest',
          'run',
          'test/dev/cli',
          'test/policies',
          'test/platform/settings.test.ts',
          'test/end-to-end',
        ],
      ]
    : [
        ['npm', 'run', 'build'],
        ['npm', 'test'],
      ]),
];

let failed: string | null = null;
try {
  copyProject();
  for (const step of STEPS) {
    console.log(`== ${step.join(' ')}`);
    const [command, ...args] = step;
    const done = spawnSync(command!, args, {
      cwd: copy,
      stdio: 'inherit',
      env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1' },
    });
    if (done.status === 0) continue;
    failed = step.join(' ');
    break;
  }
} finally {
  if (values.keep) console.log(`kept: ${copy}`);
  else rmSync(copy, { recursive: true, force: true });
}
console.log(
  `${failed ? `failed without the example: ${failed}` : `checks${values.small ? '' : ', build'} and tests pass without the example`} (${Math.round((Date.now() - started) / 1000)} s)`,
);
process.exitCode = failed ? 1 : 0;

/** The files git knows, as they are on disk now, and node_modules: as hard links where it is the same disk. */
function copyProject(): void {
  const listed = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    encoding: 'utf8',
  });
  if (listed.status !== 0) throw new Error('proof:bare needs git, to know which files are the project');
  for (const file of listed.stdout.split('\0').filter(Boolean)) {
    if (statSync(file, { throwIfNoEntry: false })) cpSync(file, path.join(copy, file));
  }
  const from = realpathSync('node_modules');
  const linked = spawnSync('cp', ['-al', from, path.join(copy, 'node_modules')]);
  if (linked.status !== 0)
    cpSync(from, path.join(copy, 'node_modules'), { recursive: true, verbatimSymlinks: true });
}
