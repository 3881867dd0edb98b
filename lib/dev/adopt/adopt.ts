/**
 * `npm run adopt`: looks at a database, says what could go and what is missing first, and after asking writes policies,
 * the lines of the data map and the SQL that the policies need. The database is only read, but for `--apply`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { permanentTables, policies } from '../../policies';
import { dataMap } from '../../policies/data-map';
import { filesOf, type NewFile, type NewPolicy, write } from '../write-policies';
import { type Answer, type Answered, complete, type Flags, missingOf } from './answers';
import { apply } from './apply';
import { compose } from './compose';
import { draftOf } from './draft';
import { judge } from './judge';
import { linesFor, mapped } from './map-lines';
import { type Reader, reading } from './read-only';
import { count, problemsInWords, report } from './report';
import { grown, type Needs, SQL_FILE, stepsOf } from './sql-file';
import { type Survey, type Surveyed, survey } from './survey';
import { type Verdict, verdicts } from './verdicts';

export interface Terminal {
  say(line: string): void;
  /** Undefined where nobody is there to be asked. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
}

/** What ends it with code 1: a sentence for the person. Nothing was written. */
export class NothingWritten extends Error {}

const DATA_MAP = 'lib/policies/data-map.ts';

interface Seen {
  readonly survey: Survey;
  readonly verdicts: readonly Verdict[];
}

/** Returns the code to end with. */
export async function adopt(url: string, flags: Flags, terminal: Terminal): Promise<number> {
  if (flags.apply && flags.answers.length === 0) return applyFile(url, flags, terminal);
  const plan = await reading(url, async (reader) => {
    const seen = await look(reader, flags);
    // Who names tables has seen it.
    if (flags.answers.length === 0) terminal.say(report(seen.survey, seen.verdicts));
    if (flags.list) return null;
    if (!seen.survey.catalog.migrated) throw new NothingWritten(NOT_MIGRATED);
    const answers = await askedFor(flags, seen, terminal);
    return planOf(reader, seen, answers, terminal);
  });
  if (plan === null) return 0;
  if (plan.files.length === 0) {
    terminal.say('\nNothing new: every table has its line, and the SQL file has what the policies need.');
    return 0;
  }
  terminal.say(
    `\n${plan.files.map((f) => `  ${existsSync(f.file) ? 'changes' : 'writes '} ${f.file}`).join('\n')}`,
  );
  if (!(await agreed('Write them?', flags, terminal)))
    throw new NothingWritten('nothing was written: --yes writes without asking');
  write(plan.files);
  terminal.say(`written: ${plan.files.length} files`);
  if (flags.apply) return applyFile(url, flags, terminal);
  terminal.say(NEXT);
  return 0;
}

const NOT_MIGRATED =
  "Lapse's own schema is not in this database yet: MIGRATION_DATABASE_URL=… npm run migrate (no table of yours is changed), then npm run adopt again";
const NEXT = `
Next: read the policies and ${SQL_FILE}; npm run adopt -- --apply runs it as the owner of the tables;
npm run policy:check says whether anything is missing; then a dry run of /api/cron/<policy>?dryRun=1`;

const EXAMPLE_IS_THERE =
  '\nThe policies of the example are declared as well, and name tables of their own: npm run example:remove takes them out';

async function look(reader: Reader, { schemas }: Flags): Promise<Seen> {
  const found = await survey(reader, { schemas });
  return { survey: found, verdicts: await verdicts(reader, found, { policies, permanent: permanentTables }) };
}

/** What a person chose: by flags, else by being asked. */
async function askedFor({ answers }: Flags, seen: Seen, terminal: Terminal): Promise<Answered[]> {
  const { ask } = terminal;
  let chosen: readonly Answer[] = answers;
  if (chosen.length === 0 && ask) {
    const said = await ask(
      '\nPolicies for which tables? Names with commas in between; empty: only the data map. ',
    );
    chosen = said
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean)
      .map((table) => ({ table }));
  }
  const answered: Answered[] = [];
  for (const answer of chosen) {
    tableOf(seen, answer.table);
    const missing = missingOf(answer);
    if (missing.length > 0 && !ask) {
      const why = await whatStandsAgainst(seen, answer);
      if (why !== null) throw new NothingWritten(why);
      throw new NothingWritten(`nothing was written: --table ${answer.table} lacks ${missing.join(', ')}`);
    }
    answered.push(ask ? await complete(answer, ask) : (answer as Answered));
  }
  return answered;
}

/** All that is known against a policy of the table, for who names it without an answer yet. */
async function whatStandsAgainst(seen: Seen, { table }: Answer): Promise<string | null> {
  const verdict = seen.verdicts.find((v) => v.table === tableOf(seen, table));
  return verdict?.kind === 'refused' ? `${table}:\n${problemsInWords(verdict.problems)}` : null;
}

/** By its name, with its schema where that is not public; throws with the names that are near. */
function tableOf({ survey: { tables } }: Seen, name: string): Surveyed {
  const bare = name.replaceAll('"', '');
  const found = tables.filter((t) => [t.label, `${t.facts.schema}.${t.facts.name}`].includes(bare));
  const alike = tables.filter((t) => t.facts.name.toLowerCase() === bare.split('.').at(-1)?.toLowerCase());
  const [table] = found.length > 0 ? found : alike.length === 1 ? alike : [];
  if (table) return table;
  const near = alike.length > 0 ? `; there is ${alike.map((t) => t.label).join(', ')}` : '';
  throw new NothingWritten(`nothing was written: there is no table ${name}${near}`);
}

interface Plan {
  readonly files: readonly NewFile[];
}

async function planOf(
  reader: Reader,
  seen: Seen,
  answers: readonly Answered[],
  terminal: Terminal,
): Promise<Plan> {
  const added: NewPolicy[] = [];
  const needs: Needs[] = [];
  for (const answer of answers) {
    const { policy, steps } = await policyFor(reader, seen, answer, added, terminal);
    added.push(policy);
    needs.push({ policy: policy.input.name, steps });
  }
  needs.push(...(await needsOfDeclared(reader, seen, terminal)));
  return { files: [...filesOf(added), ...mapFile(seen, added, terminal), ...sqlFile(needs)] };
}

async function policyFor(
  reader: Reader,
  seen: Seen,
  answer: Answered,
  before: readonly NewPolicy[],
  terminal: Terminal,
): Promise<{ policy: NewPolicy; steps: Needs['steps'] }> {
  const table = tableOf(seen, answer.table);
  const verdict = seen.verdicts.find((v) => v.table === table);
  if (verdict?.kind === 'governed') {
    throw new NothingWritten(`nothing was written: ${table.label} is governed by ${verdict.by} already`);
  }
  const draft = draftOf(seen.survey, table, answer);
  if ('problem' in draft)
    throw new NothingWritten(`nothing was written: ${table.label}: ${draft.problem}\n  ${draft.remedy}`);
  const taken = [...policies.map((p) => p.schedule), ...before.map((p) => p.input.schedule)];
  const policy = compose(table, draft, answer, taken);
  const { steps, refused } = await judge(reader, seen.survey.catalog, policy.input, permanentTables);
  if (refused.length > 0) {
    throw new NothingWritten(
      `nothing was written: the engine would refuse ${table.label}:\n${problemsInWords(refused)}`,
    );
  }
  terminal.say(`\n${policy.input.name}: ${policy.input.description}`);
  for (const note of draft.notes) terminal.say(`  ${note}`);
  const share = estimate(table, draft.clock.column, policy.input.rules[0]!.keepFor.seconds);
  if (share !== null) terminal.say(`  about ${count(share)} rows are that old now`);
  return { policy, steps };
}

/** By what was sampled, at the nearest of the ages that were counted; null where none is near. */
function estimate(table: Surveyed, clock: string, seconds: number | null): number | null {
  const { sample, rows } = table;
  if (typeof sample !== 'object' || sample === null || sample.looked === 0 || rows === null) return null;
  const age = sample.ages.get(clock);
  const days = (seconds ?? 0) / 86_400;
  const found = days === 30 ? age?.day30 : days === 90 ? age?.day90 : days === 365 ? age?.day365 : undefined;
  return found === undefined ? null : (found / sample.looked) * rows;
}

/** A policy that was changed by hand may need something new; one that does not fit is named. */
async function needsOfDeclared(
  reader: Reader,
  { survey: { catalog } }: Seen,
  terminal: Terminal,
): Promise<Needs[]> {
  const needs: Needs[] = [];
  if (existsSync('lib/example')) {
    terminal.say(EXAMPLE_IS_THERE);
    return needs;
  }
  for (const policy of policies) {
    const { steps, refused } = await judge(reader, catalog, policy, permanentTables);
    if (refused.length > 0)
      terminal.say(`\n${policy.name} does not fit this database:\n${problemsInWords(refused)}`);
    else needs.push({ policy: policy.name, steps });
  }
  return needs;
}

function mapFile({ verdicts: all }: Seen, added: readonly NewPolicy[], terminal: Terminal): NewFile[] {
  const lines = linesFor(
    all,
    added.map((p) => p.input),
  );
  const { text, written, left } = mapped(readFileSync(DATA_MAP, 'utf8'), dataMap, lines);
  for (const line of left) terminal.say(line);
  return written === 0 ? [] : [{ file: DATA_MAP, content: text }];
}

function sqlFile(needs: readonly Needs[]): NewFile[] {
  const { text, added } = grown(existsSync(SQL_FILE) ? readFileSync(SQL_FILE, 'utf8') : null, needs);
  return added === 0 ? [] : [{ file: SQL_FILE, content: text }];
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

async function agreed(question: string, { yes }: Flags, { ask }: Terminal): Promise<boolean> {
  if (yes) return true;
  return ask !== undefined && /^y(es)?$/i.test((await ask(`${question} [y/N] `)).trim());
}
