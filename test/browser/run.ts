/**
 * `npm run test:browser [-- vitest's own options]`: the console in a real Chromium, against the built app. Without a Chromium nothing is
 * claimed: in CI that is a failure, elsewhere it says how to get one. The last line is `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import '../../lib/example/policies'; // its pages are looked at: these tests go with it
import { chromiumPath, HOW_TO_INSTALL } from './support/chromium';

if (chromiumPath() === null) {
  console.error(`${HOW_TO_INSTALL}\nNothing was tested.`);
  process.exit(process.env.CI ? 1 : 0);
}
const given = process.argv.slice(2);
const folder = mkdtempSync(path.join(tmpdir(), 'lapse-browser-'));
/** The report of vitest, where CI wants it, or to be counted here. */
const OUTPUT = '--outputFile.json=';
const report =
  given.find((option) => option.startsWith(OUTPUT))?.slice(OUTPUT.length) ?? path.join(folder, 'report.json');
const { status } = spawnSync(
  process.execPath,
  [
    'node_modules/vitest/vitest.mjs',
    ...['run', '--config', 'test/browser/vitest.config.mts'],
    ...['--reporter=default', '--reporter=json', `${OUTPUT}${report}`],
    ...given.filter((option) => !option.startsWith(OUTPUT)),
  ],
  { stdio: 'inherit' },
);
const counted = countsOf(report);
rmSync(folder, { recursive: true, force: true });
console.log(counted ? `${counted.passed} passed, ${counted.failed} failed` : '0 passed, 1 failed');
process.exit(status ?? 1);

function countsOf(file: string): { passed: number; failed: number } | null {
  try {
    const read = JSON.parse(readFileSync(file, 'utf8')) as { numPassedTests: number; numFailedTests: number };
    return { passed: read.numPassedTests, failed: read.numFailedTests };
  } catch {
    return null;
  }
}
