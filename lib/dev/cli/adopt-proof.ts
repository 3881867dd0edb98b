/**
 * `npm run proof:adopt -- --database postgresql://owner:password@host/name [--table … --keep …]… [--keep-copy]`: goes the
 * way of somebody who has never seen Lapse, in a copy of the project, timed, and compares what went with SQL asked
 * before. IT DELETES ROWS of that database: give it a copy of yours. Ends with code 1 when a single row is not right.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { copyProject } from '../copy-project';
import { clock } from '../proof/adopt/steps';
import { type Chosen, goTheWay, type Proof } from '../proof/adopt/way';

const many = { type: 'string', multiple: true } as const;
const { values } = parseArgs({
  options: {
    database: { type: 'string' },
    table: many,
    keep: many,
    'keep-copy': { type: 'boolean', default: false },
  },
});
if (!values.database || (values.table ?? []).length !== (values.keep ?? []).length) {
  console.error(
    "--database takes the owner's address of a database whose rows may be deleted; each --table needs its --keep",
  );
  process.exit(2);
}
const folder = mkdtempSync(path.join(tmpdir(), 'lapse-adopt-'));
const chosen: Chosen[] = (values.table ?? []).map((table, i) => ({ table, keep: values.keep![i]! }));
const home = process.cwd();
try {
  copyProject(folder);
  const proof = await goTheWay({
    database: values.database,
    folder,
    chosen,
    say: (line) => console.log(line),
  });
  console.log(inWords(proof));
  process.exitCode = proof.problems.length > 0 ? 1 : 0;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  process.chdir(home);
  if (values['keep-copy']) console.log(`kept: ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
}

function inWords(proof: Proof): string {
  const table = new Table({
    head: ['policy', 'rows', 'had to go', 'dry run', 'went', 'along', 'runs', 'approvals'],
    colAligns: ['left', ...Array<'right'>(7).fill('right')],
    style: { head: [], border: [] },
  });
  for (const p of proof.policies)
    table.push([p.policy, p.rows, p.mustGo, p.dryRun, p.deleted, p.along, p.runs, p.approvals]);
  return [
    ...proof.policies.map((p) => `\n${p.policy}, as asked before: ${p.asked}`),
    table.toString(),
    ...(proof.refused.length > 0 ? [`refused:\n${proof.refused.map((r) => `  ${r}`).join('\n')}`] : []),
    `${clock(proof.secondsToFirstDeletion)} to the first deletion, ${proof.commands} commands, ${proof.edits} files changed by hand`,
    proof.problems.length === 0
      ? 'Exactly the rows that had to go went, each in one receipt; no other table changed.'
      : `Not as it should be:\n${proof.problems.map((p) => `  - ${p}`).join('\n')}`,
  ].join('\n');
}
