// Given the path of a log of vitest and folders of coverage reports: prints which thresholds were not met, and which lines of their files no test
// of any of the reports ran. Exit code 0 where every line was asked for, nothing else, and no such line is left.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

const [log, ...folders] = process.argv.slice(2);
const short = [
  ...readFileSync(log, 'utf8').matchAll(/Coverage for (\w+) .*does not meet "([^"]+)" threshold \((\d+)%\)/g),
];
const reports = folders
  .map((folder) => path.join(folder, 'coverage-final.json'))
  .filter((file) => existsSync(file))
  .map((file) => JSON.parse(readFileSync(file, 'utf8')));
for (const [what] of short) console.log(what);
const missed = Object.keys(reports[0] ?? {})
  .map((file) => ({ name: path.relative('.', file), lines: missedIn(file) }))
  .filter(
    ({ name, lines }) => lines.length > 0 && short.some(([, , files]) => path.matchesGlob(name, files)),
  );
for (const { name, lines } of missed) console.log(`no test ran ${name}:${lines.join(',')}`);
const everyLine =
  short.length > 0 && short.every(([, what, , percent]) => what === 'lines' && percent === '100');
process.exit(everyLine && reports.length > 0 && missed.length === 0 ? 0 : 1);

/** A line has run where anything that begins on it has. */
function missedIn(file) {
  const all = new Set();
  const ran = new Set();
  for (const { s: runs, statementMap } of reports.flatMap((report) => report[file] ?? [])) {
    for (const [id, { start }] of Object.entries(statementMap)) {
      all.add(start.line);
      if (runs[id] > 0) ran.add(start.line);
    }
  }
  return [...all].filter((line) => !ran.has(line));
}
