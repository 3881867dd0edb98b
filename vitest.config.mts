import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/**
 * What `npm run coverage` asks for, in percent of lines and of branches, of all files of a list
 * together. Each file that is deployed is in one of them. SQL is not measured: the functions of the schema are covered by the
 * tests that call them, and by mutants.
 */
const COVERED = [
  // Takes rows, files or records away, or decides which: a line that no test runs could take a wrong one.
  {
    files: [
      'lib/{engine,files,rights}/**',
      'lib/operators/records/**',
      'lib/operators/{permanent,restore}.ts',
      'lib/policies/{contract,effective,going,purge}.ts',
    ],
    lines: 100,
    branches: 85,
  },
  // Runs on a clock, or notices that something did not.
  {
    files: [
      'lib/policies/{crons,next-run}.ts',
      'lib/platform/{job,jobs,turn}.ts',
      'lib/http/{cron-route,deadline,job-route,parameters}.ts',
      'lib/watch/*.ts',
      'lib/watch/backlog/**',
      'lib/orders/**',
    ],
    lines: 90,
    branches: 80,
  },
  // The edges: input, settings, failures of others, what people change and read.
  { files: ['lib/{platform,policies,operators,http,watch}/**', 'lib/services.ts'], lines: 95, branches: 80 },
];

const thresholds = Object.fromEntries(
  COVERED.map(({ files, lines, branches }) => [`{${files.join(',')}}`, { lines, branches }]),
);

const TESTS = 'test/**/*.test.ts';
/** Replaces a module, which the files after it in the same process would find replaced. */
const REPLACES_MODULES = /\bvi\.(mock|doMock)\(/;
const alone = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((file) => `test/${file.replaceAll('\\', '/')}`)
  .filter((file) => file.endsWith('.test.ts') && REPLACES_MODULES.test(readFileSync(file, 'utf8')));

const resolve = { alias: { '@': fileURLToPath(new URL('.', import.meta.url)) } };
/** For what hangs; a slow machine fails no test. */
const limits = { testTimeout: 90_000, hookTimeout: 120_000, expect: { poll: { timeout: 60_000 } } };

export default defineConfig({
  resolve,
  test: {
    // Importing the same modules anew for each file would be a quarter of all the time.
    projects: [
      { resolve, test: { name: 'together', include: [TESTS], exclude: alone, isolate: false, ...limits } },
      { resolve, test: { name: 'alone', include: alone, ...limits } },
    ],
    // Not inherited by the two above: one local cloud serves both.
    globalSetup: ['test/support/global-setup.ts'],
    // PostgreSQL works on the same cores: more workers only make each slower.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    coverage: {
      provider: 'v8',
      include: ['lib/**/*.ts'],
      exclude: ['lib/dev/**', 'lib/example/**'],
      reporter: ['text-summary', 'json'],
      // A test that failed says nothing about the lines that none ran.
      reportOnFailure: true,
      thresholds,
    },
  },
});
