// Counts the reports of a run of CI, given their folder and how many checks failed; names what failed once more, because a log is often read
// from its end. A report called flaky holds failures that passed three times by themselves. The last line is `N passed, N failed`, where
// failed tests count, or else failed checks.
import { readdirSync, readFileSync } from 'node:fs';

const [folder, checks] = process.argv.slice(2);
const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
let passed = 0;
let broken = 0;
for (const name of ['all', 'browser']) if (!files.some((file) => file.startsWith(`${name}.`))) broken += 1;
for (const file of files) {
  const report = JSON.parse(readFileSync(`${folder}/${file}`, 'utf8'));
  const flaky = file.endsWith('.flaky.json');
  passed += report.numPassedTests + (flaky ? report.numFailedTests : 0);
  if (!flaky) broken += report.numFailedTests || (report.success ? 0 : 1);
  for (const { name, status, message, assertionResults } of report.testResults) {
    const word = flaky ? 'flaky' : 'failed';
    if (status === 'failed' && message) console.log(`${word}: ${name}: ${message}`);
    for (const test of assertionResults.filter((one) => one.status === 'failed'))
      console.log(`${word}: ${test.fullName}\n${test.failureMessages.join('\n')}`);
  }
}
const failed = broken || Number(checks);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
