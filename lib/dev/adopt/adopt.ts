/**
 * `npm run adopt`: looks at a database, says what could go and what is missing first, and after asking writes policies,
 * the lines of the data map and the SQL that the policies need. The database is only read, but for `--apply`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { permanentTables, policies } from '../../policies';
import { write } from '../write-policies';
import type { Flags } from './answers';
import { apply } from './apply';
import { askedFor, type Seen } from './choose';
import { planOf } from './plan';
import { type Reader, reading } from './read-only';
import { report } from './report';
import { SQL_FILE, stepsOf } from './sql-file';
import { survey } from './survey';
import { agreed, NothingWritten, type Terminal } from './terminal';
import { verdicts } from './verdicts';

/** Returns the code to end with. */
export async function adopt(url: string, flags: Flags, terminal: Terminal): Promise<number> {
  if (flags.apply && flags.answers.length === 0) return applyFile(url, flags, terminal);
  const files = await reading(url, async (reader) => {
    const seen = await look(reader, flags);
    // Who names tables has seen it.
    if (flags.answers.length === 0) terminal.say(report(seen.survey, seen.verdicts));
    if (flags.list) return null;
    if (!seen.survey.catalog.migrated) throw new NothingWritten(NOT_MIGRATED);
    const answers = await askedFor(flags, seen, terminal);
    return planOf(reader, seen, answers, terminal);
  });
  if (files === null) return 0;
  if (files.length === 0) {
    terminal.say('\nNothing new: every table has its line, and the SQL file has what the policies need.');
    return 0;
  }
  terminal.say(
    `\n${files.map((f) => `  ${existsSync(f.file) ? 'changes' : 'writes '} ${f.file}`).join('\n')}`,
  );
  if (!(await agreed('Write them?', flags, terminal)))
    throw new NothingWritten('nothing was written: --yes writes without asking');
  write(files);
  terminal.say(`written: ${files.length} files, and from the policies vercel.json and docs/RETENTION.md`);
  if (flags.apply) return applyFile(url, flags, terminal);
  terminal.say(NEXT);
  return 0;
}

const NOT_MIGRATED =
  "Lapse's own schema is not in this database yet: MIGRATION_DATABASE_URL=… npm run migrate (no table of yours is changed), then npm run adopt again";
const NEXT = `
Next: read the policies and ${SQL_FILE}; npm run adopt -- --apply runs it as the owner of the tables;
npm run policy:check says whether anything is missing; then a dry run of /api/cron/<policy>?dryRun=1`;

async function look(reader: Reader, { schemas }: Flags): Promise<Seen> {
  const found = await survey(reader, { schemas });
  return { survey: found, verdicts: await verdicts(reader, found, { policies, permanent: permanentTables }) };
}

async function applyFile(url: string, flags: Flags, terminal: Terminal): Promise<number> {
  if (!existsSync(SQL_FILE)) {
    terminal.say(`nothing to apply: there is no ${SQL_FILE}`);
    return 0;
  }
  const steps = stepsOf(readFileSync(SQL_FILE, 'utf8'));
  terminal.say(steps.map((s) => `${s.statement}${s.why ? `\n  ${s.why}` : ''}`).join('\n'));
  if (!(await agreed(`\nRun these ${steps.length} statements?`, flags, terminal))) {
    throw new NothingWritten('nothing was run: --yes runs them without asking');
  }
  const failed = (await apply(url, steps, (line) => terminal.say(line))).filter((a) => a.error !== null);
  terminal.say(`${steps.length - failed.length} of ${steps.length} statements ran\n`);
  // A process of its own: policies that were written a moment ago are not in this one.
  const check = spawnSync(
    process.execPath,
    ['node_modules/tsx/dist/cli.mjs', 'lib/dev/cli/policy-check.ts'],
    {
      encoding: 'utf8',
      env: { ...process.env, DATABASE_URL: url },
    },
  );
  terminal.say(`${check.stdout}${check.stderr}`.trimEnd());
  return failed.length > 0 ? 1 : (check.status ?? 1);
}
