/**
 * Dates that stand in other tables than the rows: that of the row it refers to (an item has none, its order has), and
 * those of the rows that refer to it (a conversation is as young as its last message). By foreign keys alone.
 */
import type { PolicyInput } from '../../policies/contract';
import { inOrderOf } from '../../policies/hanging';
import type { ForeignKey, TableFacts } from './catalog';
import { byRows, type Clock, declaredAs, type Meaning } from './clocks';
import type { Refusal } from './keys';
import type { Survey, Surveyed } from './survey';

type Later = NonNullable<PolicyInput['clock']['orLaterIn']>[number];
type Elsewhere = NonNullable<PolicyInput['clock']['in']>;

/** A date that another table has, as a person names it: `orders.placed_at`. */
interface There {
  readonly called: string;
  readonly f: ForeignKey;
  readonly other: Surveyed;
  readonly clock: Clock;
}

const nameOf = ({ schema, name }: TableFacts) => (schema === 'public' ? { name } : { schema, name });
const allOf = (t: Surveyed): Clock[] => [...t.clocks, ...byRows(t)];

/** Of the tables that it refers to, or that refer to it, every date that means one of these, the best of each table first. */
function dates(
  survey: Survey,
  references: readonly ForeignKey[],
  at: 'from' | 'to',
  means: readonly Meaning[],
): There[] {
  const rank = (c: Clock) => means.indexOf(c.meaning);
  return references.flatMap((f) => {
    const other = survey.tables.find((t) => t.facts.oid === f[at]);
    if (!other || other.technical !== null || f.from === f.to) return [];
    return allOf(other)
      .filter((c) => rank(c) >= 0)
      .sort((a, b) => rank(a) - rank(b))
      .map((clock) => ({ called: `${other.label}.${clock.column}`, f, other, clock }));
  });
}

const PARENT: readonly Meaning[] = ['deleted', 'ended', 'happened', 'made', 'expires', 'changed', 'unknown'];
const CHILD: readonly Meaning[] = ['happened', 'made', 'ended', 'changed', 'unknown', 'expires', 'deleted'];

const above = (survey: Survey, facts: TableFacts): There[] =>
  dates(
    survey,
    survey.catalog.references.filter((f) => f.from === facts.oid),
    'to',
    PARENT,
  );
const below = (survey: Survey, facts: TableFacts): There[] =>
  dates(survey, survey.pointingAt(facts), 'from', CHILD);

/** The first of each table it refers to: what to say after `--clock`. */
export const suggestedAbove = (survey: Survey, facts: TableFacts): string[] =>
  firsts(above(survey, facts).filter((x) => /^(deleted|ended|happened|made)$/.test(x.clock.meaning)));

/** Of what goes with its rows, the dates that each of them has: what to say after `--later`. */
export const suggestedBelow = (survey: Survey, facts: TableFacts): string[] =>
  firsts(
    below(survey, facts).filter(
      ({ f, clock }) =>
        f.on_delete === 'c' &&
        clock.type !== 'iso' &&
        !clock.nullable &&
        /^(happened|made|ended)$/.test(clock.meaning),
    ),
  );

const firsts = (found: readonly There[]): string[] =>
  [...new Map([...found].reverse().map((x) => [x.other.facts.oid, x.called])).values()].reverse();

/** The clock that `--clock orders.placed_at` names; undefined where it names none of another table. */
export function clockAbove(survey: Survey, facts: TableFacts, wanted: string): Clock | Refusal | undefined {
  if (!wanted.includes('.')) return undefined;
  const found = above(survey, facts).filter((x) => x.called === wanted);
  const [one, ...more] = found;
  if (!one || more.length > 0) return unlike(wanted, above(survey, facts), one !== undefined, '--clock');
  const elsewhere: Elsewhere = {
    table: nameOf(one.other.facts) as Elsewhere['table'],
    references: [...one.f.columns],
    key: [...one.f.to_columns],
  };
  return { ...one.clock, nullable: true, in: elsewhere };
}

/** The entries that `--later messages.sent_at` names. */
export function clocksBelow(
  survey: Survey,
  facts: TableFacts,
  key: readonly string[],
  wanted: string,
): Later[] | Refusal {
  const all = below(survey, facts).filter((x) => x.clock.type !== 'iso');
  const entries: Later[] = [];
  for (const called of wanted.split(',').map((x) => x.trim())) {
    const found = all.filter((x) => x.called === called);
    const [one, ...more] = found;
    if (!one || more.length > 0) return unlike(called, all, one !== undefined, '--later');
    const ordered = inOrderOf(key, one.f);
    entries.push({
      ...(declaredAs({ ...one.clock, meaning: 'made' }) as Later),
      table: nameOf(one.other.facts),
      ...(ordered
        ? { references: [...ordered] }
        : { references: [...one.f.columns], refersTo: [...one.f.to_columns] }),
    });
  }
  return entries;
}

const unlike = (wanted: string, all: readonly There[], isTwice: boolean, flag: string): Refusal => ({
  problem: isTwice
    ? `${wanted} is reached by several foreign keys`
    : `${wanted} is no date of a table that a foreign key joins to it`,
  remedy: isTwice
    ? 'write this policy by hand, and name the columns'
    : all.length > 0
      ? `${flag} takes one of ${[...new Set(all.map((x) => x.called))].join(', ')}`
      : 'no foreign key leads to a table that has one',
});
