/**
 * `npm run mutants -- [--only B01,B02] [--area B] [--sample N] [--jobs N] [--after-tests]`: breaks one guard at a time in a copy of
 * the project and runs the tests that concern it. A guard that can be lost unnoticed is a survivor; ends with 1 when
 * there is any but those argued equivalent, or when the tests fail without a breakage.
 */
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { mutants } from './index';
import type { Mutant } from './mutant';
import { mutated } from './place';

/** On a loaded machine a slow test is not a kill: several times the suite's own limit. */
const TEST_TIMEOUT_MS = 180_000;
/** A breakage may also make the tests hang. */
const RUN_TIMEOUT_MS = 600_000;
/** Without a breakage nearly the whole suite runs, one file after the other. */
const BASELINE_TIMEOUT_MS = 3_600_000;

/** The breakage keeps the tests from starting or from ending: noticed, but by no test. */
const NO_ANSWER = 'the tests gave no answer';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    area: { type: 'string' },
    sample: { type: 'string' },
    jobs: { type: 'string', default: '2' },
    /** The suite has just passed: do not run it once more before the first breakage. */
    'after-tests': { type: 'boolean', default: false },
  },
});

const chosen = choose();
for (const mutant of chosen) mutated(mutant);
const folder = mkdtempSync(path.join(tmpdir(), 'lapse-mutants-'));
const results = new Map<string, string>();
try {
  const jobs = Math.max(1, Math.min(Number(values.jobs), chosen.length));
  const roots = Array.from({ length: jobs }, (_, i) => copyOf(i));
  const broken = values['after-tests'] ? null : await baseline(roots[0]!);
  if (broken) throw new Error(`the tests fail without a breakage: ${broken}`);
  const queue = [...chosen];
  await Promise.all(roots.map((root) => work(root, queue)));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(report());

function choose(): readonly Mutant[] {
  const only = values.only?.split(',');
  const wanted = mutants.filter(
    (m) => (!only || only.includes(m.id)) && (!values.area || m.id.startsWith(values.area)),
  );
  const tried = wanted.filter((m) => m.equivalent === undefined || only !== undefined);
  if (values.sample === undefined) return tried;
  // Another part of the list each day, so that a small form walks through all of it.
  const day = Math.floor(Date.now() / 86_400_000);
  const from = (day * Number(values.sample)) % Math.max(1, tried.length);
  return [...tried.slice(from), ...tried.slice(0, from)].slice(0, Number(values.sample));
}

/** What git knows of, as it lies here, with the dependencies linked. */
function copyOf(job: number): string {
  const root = path.join(folder, String(job));
  mkdirSync(root);
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' })
    .trim()
    .split('\n');
  for (const file of files) cpSync(file, path.join(root, file), { recursive: true });
  symlinkSync(path.resolve('node_modules'), path.join(root, 'node_modules'));
  return root;
}

/** Without a breakage every test that is asked passes, or a kill would mean nothing. */
async function baseline(root: string): Promise<string | null> {
  const files = [...new Set(chosen.flatMap((m) => m.tests.map((t) => t.split(':')[0]!)))];
  return (await ask(root, files, BASELINE_TIMEOUT_MS)).failed;
}

async function work(root: string, queue: Mutant[]): Promise<void> {
  for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
    const file = path.join(root, mutant.file);
    const original = readFileSync(file, 'utf8');
    writeFileSync(file, mutated(mutant, root));
    const killer = await firstFailure(root, mutant);
    writeFileSync(file, original);
    results.set(mutant.id, killer ?? '');
    console.log(killer ? `killed    ${mutant.id}  ${killer}` : `SURVIVED  ${mutant.id}  ${mutant.promise}`);
  }
}

/** The title of the test that notices, or null. Each entry of `tests` runs by itself, the nearest first. */
async function firstFailure(root: string, mutant: Mutant): Promise<string | null> {
  for (const entry of mutant.tests) {
    const [file, title] = entry.split(/:(.*)/s);
    const seen = await ask(
      root,
      [file!, ...(title ? ['-t', escaped(title)] : [])],
      RUN_TIMEOUT_MS,
      '--bail=1',
    );
    if (seen.failed) return seen.failed;
    if (seen.ran === 0) throw new Error(`mutant ${mutant.id}: ${entry} runs no test`);
  }
  return null;
}

async function ask(root: string, what: readonly string[], forMs: number, ...more: string[]): Promise<Seen> {
  const answer = path.join(root, 'mutant.json');
  rmSync(answer, { force: true });
  const limits = [`--testTimeout=${TEST_TIMEOUT_MS}`, '--reporter=json', `--outputFile.json=${answer}`];
  await run(root, ['vitest', 'run', ...what, ...more, '--maxWorkers=1', ...limits], forMs);
  return read(answer) ?? { ran: 0, failed: NO_ANSWER };
}

// A declaration: it is needed before this place is reached.
function escaped(title: string): string {
  return title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function run(root: string, args: readonly string[], forMs: number): Promise<void> {
  return new Promise((resolve) => {
    execFile('npx', [...args], { cwd: root, timeout: forMs, maxBuffer: 1 << 28 }, () => resolve());
  });
}

interface Seen {
  readonly ran: number;
  readonly failed: string | null;
}

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  success: boolean;
  testResults: {
    message?: string;
    status: string;
    name: string;
    assertionResults: { status: string; fullName: string }[];
  }[];
}

function read(file: string): Seen | null {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return null;
  }
  const tests = report.testResults.flatMap((r) => r.assertionResults);
  const failed = tests.find((t) => t.status === 'failed')?.fullName;
  const broken = report.testResults.find((r) => r.status === 'failed')?.name;
  return {
    ran: report.numPassedTests + report.numFailedTests + (broken ? 1 : 0),
    failed: failed ?? (broken ? `${path.basename(broken)} could not run` : null),
  };
}

function report(): number {
  const survivors = chosen.filter((m) => results.get(m.id) === '');
  const silent = chosen.filter((m) => results.get(m.id) === NO_ANSWER).map((m) => m.id);
  const equivalent = mutants.filter((m) => m.equivalent !== undefined);
  console.log(
    `\n${chosen.length} tried, ${chosen.length - survivors.length} killed, ${survivors.length} survived; ${equivalent.length} argued equivalent`,
  );
  if (silent.length > 0) console.log(`without an answer of the tests, to be looked at: ${silent.join(', ')}`);
  for (const m of survivors) console.log(`  ${m.id}  ${m.file}: ${m.promise}`);
  return survivors.length > 0 ? 1 : 0;
}
