// Prints the test files of a report of vitest that failed; exit code 1 when there is none, or more than three: that is no chance.
import { readFileSync } from 'node:fs';
import path from 'node:path';

const { testResults } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const failed = testResults
  .filter(({ status }) => status === 'failed')
  .map(({ name }) => path.relative('.', name));
console.log(failed.join(' '));
process.exit(failed.length > 0 && failed.length <= 3 ? 0 : 1);
