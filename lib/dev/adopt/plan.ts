/** What would be written: the policies with all their files, the lines of the data map, the SQL. Nothing is written here. */
import { existsSync, readFileSync } from 'node:fs';
import { permanentTables, policies } from '../../policies';
import { dataMap } from '../../policies/data-map';
import { filesOf, type NewFile, type NewPolicy } from '../write-policies';
import type { Answered } from './answers';
import { type Seen, tableOf } from './choose';
import { compose } from './compose';
import { draftOf } from './draft';
import { judge } from './judge';
import { linesFor, mapped } from './map-lines';
import type { Reader } from './read-only';
import { count, problemsInWords } from './report';
import { grown, type Needs, SQL_FILE } from './sql-file';
import type { Surveyed } from './survey';
import { NothingWritten, type Terminal } from './terminal';

const DATA_MAP = 'lib/policies/data-map.ts';
const EXAMPLE_IS_THERE =
  '\nThe policies of the example are declared as well, and name tables of their own: npm run example:remove takes them out';

/** Throws NothingWritten with what keeps a table from being governed. */
export async function planOf(
  reader: Reader,
  seen: Seen,
  answers: readonly Answered[],
  terminal: Terminal,
): Promise<NewFile[]> {
  const added: NewPolicy[] = [];
  const needs: Needs[] = [];
  for (const answer of answers) {
    const { policy, steps } = await policyFor(reader, seen, answer, added, terminal);
    added.push(policy);
    needs.push({ policy: policy.input.name, steps });
  }
  needs.push(...(await needsOfDeclared(reader, seen, terminal)));
  return [...filesOf(added), ...mapFile(seen, added, terminal), ...sqlFile(needs)];
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
