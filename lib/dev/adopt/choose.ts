/** Which tables, and what a person says of each: by flags, else by being asked. */
import { type Answer, type Answered, complete, type Flags, missingOf } from './answers';
import { problemsInWords } from './report';
import type { Survey, Surveyed } from './survey';
import { NothingWritten, type Terminal } from './terminal';
import type { Verdict } from './verdicts';

export interface Seen {
  readonly survey: Survey;
  readonly verdicts: readonly Verdict[];
}

export async function askedFor({ answers }: Flags, seen: Seen, terminal: Terminal): Promise<Answered[]> {
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
    const against = whatStandsAgainst(seen, answer);
    if (ask) {
      // No question about a table whose answers would be thrown away.
      if (against === null) answered.push(await complete(answer, ask));
      else terminal.say(against);
      continue;
    }
    const missing = missingOf(answer);
    if (missing.length > 0)
      throw new NothingWritten(
        against ?? `nothing was written: --table ${answer.table} lacks ${missing.join(', ')}`,
      );
    answered.push(answer as Answered);
  }
  return answered;
}

/** All that is known against a policy of the table by the clock it was judged with. */
function whatStandsAgainst(seen: Seen, answer: Answer): string | null {
  const { table, clock, keyNamesNobody, along, knownTriggers } = answer;
  const verdict = seen.verdicts.find((v) => v.table === tableOf(seen, table));
  const isOtherwise = clock !== undefined || keyNamesNobody || along || knownTriggers !== undefined;
  if (isOtherwise || verdict?.kind !== 'refused') return null;
  return `${table}:\n${problemsInWords(verdict.problems)}`;
}

/** By its name, with its schema where that is not public; throws with the names that are near. */
export function tableOf({ survey: { tables } }: Seen, name: string): Surveyed {
  const bare = name.replaceAll('"', '');
  const found = tables.filter((t) => [t.label, `${t.facts.schema}.${t.facts.name}`].includes(bare));
  const alike = tables.filter((t) => t.facts.name.toLowerCase() === bare.split('.').at(-1)?.toLowerCase());
  const [table] = found.length > 0 ? found : alike.length === 1 ? alike : [];
  if (table) return table;
  const near = alike.length > 0 ? `; there is ${alike.map((t) => t.label).join(', ')}` : '';
  throw new NothingWritten(`nothing was written: there is no table ${name}${near}`);
}
