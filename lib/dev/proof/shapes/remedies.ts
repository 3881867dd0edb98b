/**
 * Does what a refusal says, as a developer would who reads it: runs the printed statements as the owner of the tables, and
 * writes the printed line into the policy. What no reader understands is not followed, and the proof says so.
 */
import { runInNewContext } from 'node:vm';
import type { PolicyInput } from '../../../policies/contract';
import type { Child } from './declare';
import { readNullable, withKey } from './loose-keys';
import { keyOf } from './named';
import { labelOf, type Shape, type ShapeTable, tableOf } from './shape';

export interface Refusal {
  readonly problem: string;
  readonly remedy: string;
}

export interface Followed {
  readonly policy: PolicyInput;
  readonly statements: readonly string[];
  /** Where the statements fail because rows have a NULL there. */
  readonly otherwise?: { readonly policy: PolicyInput; readonly statement: string };
}

interface Reading extends Refusal {
  readonly policy: PolicyInput;
  readonly shape: Shape;
}

interface Reader {
  /** In the table at the end of the proof. */
  readonly kind: string;
  readonly of: (r: Refusal) => boolean;
  /** Null: not to be followed after all. */
  readonly follow: (r: Reading) => Followed | null;
}

const run = ({ policy, remedy }: Reading): Followed | null => {
  const statements = statementsIn(remedy);
  return statements.length === 0 ? null : { policy, statements };
};
const declared = (policy: PolicyInput | null): Followed | null =>
  policy === null ? null : { policy, statements: [] };

const childrenOf = (policy: PolicyInput): Child[] => [...(policy.dependants ?? [])];
const labelOfChild = (c: Child): string =>
  labelOf({ schema: c.table.schema ?? 'public', name: c.table.name });

/** Changes every dependant for which it is asked for; null where there is none. */
function change(
  policy: PolicyInput,
  wanted: (c: Child) => boolean,
  to: (c: Child) => Child,
): PolicyInput | null {
  const all = childrenOf(policy);
  if (!all.some(wanted)) return null;
  return { ...policy, dependants: all.map((c) => (wanted(c) ? to(c) : c)) };
}

const quotedWords = (text: string): string[] =>
  [...text.matchAll(/'((?:[^'\\]|\\.)*)'/g)].map((m) => m[1]!.replaceAll("\\'", "'"));

const READERS: readonly Reader[] = [
  {
    kind: 'a branch is not declared',
    of: (r) => /references .* and is not declared: its rows would/.test(r.problem),
    follow: ({ policy, shape, problem, remedy }) => {
      const printed = lineIn(remedy);
      const at = shape.tables.find((t) => printed && labelOfChild(printed) === labelOf(t));
      if (!at || !printed) return null;
      const own = childrenOf(policy).find((c) => c.fate === 'delete' && labelOfChild(c) === labelOf(at));
      const isGoverned = at === shape.tables[0];
      const known = isGoverned || !at.trigger || at.trigger.kind === 'deletes' ? [] : [at.trigger.name];
      const scope = {
        ...(at.organization ? { organization: at.organization } : {}),
        ...(at.person ? { user: at.person } : {}),
      };
      const child: Child = {
        ...printed,
        key: isGoverned ? policy.key : (own?.key ?? keyOf(at)),
        fate: fateOf(shape, problem, printed.fate),
        knownTriggers: known,
        ...(isGoverned ? {} : own ? { scope: own.scope, files: own.files } : { scope }),
      };
      return declared({ ...policy, dependants: [...childrenOf(policy), child] });
    },
  },
  {
    kind: 'columns that refer to others than is declared',
    of: (r) => /is declared to refer to .*: its rows would be joined to other ones/.test(r.problem),
    follow: ({ policy, remedy }) => {
      const printed = lineIn(remedy);
      if (!printed) return null;
      const via = (c: Child) =>
        c.via ? labelOf({ schema: c.via.schema ?? 'public', name: c.via.name }) : null;
      const place = (c: Child) => JSON.stringify([labelOfChild(c), via(c)]);
      const same = (c: Child) =>
        place(c) === place(printed) &&
        [...c.references].sort().join() === [...printed.references].sort().join();
      return declared(
        change(policy, same, ({ refersTo: _, ...c }) => ({
          ...c,
          references: printed.references,
          ...(printed.refersTo ? { refersTo: printed.refersTo } : {}),
        })),
      );
    },
  },
  {
    kind: 'another type of a key',
    of: (r) => /^(key|dependants\.\d+\.key): .* the policy says /.test(r.problem),
    follow: ({ policy, problem, remedy }) => {
      const [, column, type] = /\{ column: '(.*)', type: '(.*)' \}$/.exec(remedy) ?? [];
      const i = /^dependants\.(\d+)/.exec(problem)?.[1];
      if (column === undefined || type === undefined) return null;
      const corrected = (key: PolicyInput['key']) =>
        key.map((k) =>
          k.column === column
            ? { ...k, type, ...(/char|text/.test(type) ? { personal: false as const } : {}) }
            : k,
        );
      if (i === undefined) return declared({ ...policy, key: corrected(policy.key) });
      const child = childrenOf(policy)[Number(i)];
      return declared(
        change(
          policy,
          (c) => c === child,
          (c) => ({ ...c, key: corrected(c.key) }),
        ),
      );
    },
  },
  {
    kind: 'another type of the clock',
    of: (r) => r.remedy.startsWith('correct clock.type in the policy: '),
    follow: ({ policy, remedy, shape }) => {
      const clock = withoutType(policy.clock);
      const said = (word: string) => new RegExp(`${word}: '?([a-z]+)'?`).exec(remedy)?.[1];
      const own = shape.tables[0]!.clock!;
      // The zone, the unit and the digits only who knows the application can say.
      const more = {
        ...('zone' in own ? { zone: own.zone } : {}),
        ...('unit' in own ? { unit: own.unit } : {}),
        ...('digits' in own ? { digits: own.digits } : {}),
        ...(said('numeric') ? { numeric: true as const } : {}),
      };
      const type = said('type');
      if (type !== own.type) return null;
      return declared({ ...policy, clock: { ...clock, ...more, type } as PolicyInput['clock'] });
    },
  },
  {
    kind: 'a clock in another table of another type',
    of: (r) => /^clock\.(in|orLaterIn) cannot be asked: operator does not exist/.test(r.problem),
    follow: ({ policy, shape }) => {
      const clock = withoutType(policy.clock);
      const own = shape.tables[0]!.clock!;
      const said: object = Object.fromEntries(
        Object.entries(own).filter(([name]) => ['type', 'zone', 'unit', 'digits', 'numeric'].includes(name)),
      );
      return declared({ ...policy, clock: { ...clock, ...said } as PolicyInput['clock'] });
    },
  },
  {
    kind: "'keep' where the foreign key does not let go",
    of: (r) => /is declared 'keep', but foreign key/.test(r.problem),
    follow: ({ policy, problem }) =>
      declared(
        change(
          policy,
          (c) => c.fate === 'keep' && problem.startsWith(`${labelOfChild(c)} is`),
          (c) => ({ ...c, fate: 'delete' }),
        ),
      ),
  },
  {
    kind: 'a table that refers to itself',
    of: (r) => /refers to itself by .* and is declared 'keep'/.test(r.problem),
    follow: (r) =>
      declared(
        change(
          r.policy,
          (c) => c.fate === 'keep' && r.problem.startsWith(`${labelOfChild(c)} refers`),
          // Of the governed table they are the policy's own.
          (c) => ({
            ...c,
            fate: r.remedy.startsWith("declare it 'block'") ? 'block' : 'delete',
            ...(c.table.name === r.policy.table.name ? { files: [], scope: {} } : {}),
          }),
        ),
      ),
  },
  {
    kind: 'a trigger nobody named',
    of: (r) => /^trigger .* is not declared/.test(r.problem),
    follow: (r) => {
      const named = r.shape.tables.flatMap((t) => (t.trigger ? [t.trigger] : []));
      const at = /name it in (knownTriggers|dependants\.(\d+)\.knownTriggers) of the policy/.exec(r.remedy);
      const trigger = named.find((t) => r.problem.includes(`"${t.name.replaceAll('"', '""')}"`));
      // A reader of the code drops one that takes other rows along.
      if (!trigger || trigger.kind === 'deletes' || !at) return run(r);
      if (at[2] === undefined)
        return declared({ ...r.policy, knownTriggers: [...(r.policy.knownTriggers ?? []), trigger.name] });
      const child = childrenOf(r.policy)[Number(at[2])];
      return declared(
        change(
          r.policy,
          (c) => c === child,
          (c) => ({ ...c, knownTriggers: [...(c.knownTriggers ?? []), trigger.name] }),
        ),
      );
    },
  },
  {
    kind: "'block' or 'set-null' where the foreign key takes along",
    of: (r) => /is declared '(block|set-null)', but foreign key/.test(r.problem),
    follow: run,
  },
  {
    kind: 'no foreign key says that it goes along, or has a reference',
    of: (r) => /no foreign key says (so|that it has one)/.test(r.problem),
    follow: run,
  },
  {
    kind: 'partitions nobody named',
    of: (r) => r.remedy.startsWith('say so in the policy: partitioned: '),
    follow: ({ policy, shape }) =>
      declared({
        ...policy,
        partitioned: { by: shape.tables[0]!.partitions?.isByClock ? 'month' : 'other' },
      }),
  },
  { kind: 'no gate', of: (r) => /has no gate|and no gate:/.test(r.problem), follow: run },
  { kind: 'no guard', of: (r) => /no guard: its rows could leave/.test(r.problem), follow: run },
  {
    kind: 'an index of where has other rows, too',
    of: (r) => /by which PostgreSQL finds the rows for which where is true/.test(r.problem),
    follow: ({ policy: { whereIndexed: _, ...policy } }) => declared(policy),
  },
  {
    kind: 'an index of where nobody named',
    of: (r) => /or say whereIndexed: true in the policy/.test(r.remedy),
    follow: ({ policy }) => declared({ ...policy, whereIndexed: true }),
  },
  {
    kind: 'no index by the clock',
    of: (r) => /each batch would read the whole table/.test(r.problem),
    follow: run,
  },
  {
    kind: 'no index on rows that count as the clock',
    of: (r) => /all that refer to it would be read/.test(r.problem),
    follow: run,
  },
  {
    kind: 'no index on a group',
    of: (r) => /would be held against its whole group/.test(r.problem),
    follow: run,
  },
  {
    kind: 'no index on a reference',
    of: (r) => /would scan that table|is not indexed/.test(r.problem),
    follow: run,
  },
  { kind: 'no index on names of files', of: (r) => /each file would scan it/.test(r.problem), follow: run },
  { kind: 'no grant to drop partitions', of: (r) => /to drop partitions of/.test(r.problem), follow: run },
  {
    kind: 'a reference that may not be NULL',
    of: (r) => /is to become null, and (may not be NULL|is part of the primary key)/.test(r.problem),
    follow: (r) => {
      if (statementsIn(r.remedy).length > 0) return run(r);
      const child = childrenOf(r.policy)[Number(/^dependants\.(\d+)/.exec(r.problem)?.[1])];
      const list = /^declare clears: \[(.*?)\] in /.exec(r.remedy)?.[1];
      const { clears: _, ...rest } = child ?? ({} as Child);
      const changed: Child =
        list === undefined ? { ...rest, fate: 'block' } : { ...rest, clears: quotedWords(list) };
      return declared(
        change(
          r.policy,
          (c) => c === child,
          () => changed,
        ),
      );
    },
  },
  {
    kind: 'references that cannot be compared',
    of: (r) => /\.references cannot be compared with /.test(r.problem),
    // Said again, and better, where the foreign key is judged; where it is not, its own columns are the right ones.
    follow: ({ policy, problem, shape }) => {
      const child = childrenOf(policy)[Number(/^dependants\.(\d+)/.exec(problem)?.[1])];
      const same = (columns: readonly string[]) =>
        [...columns].sort().join() === [...(child?.references ?? [])].sort().join();
      const link = shape.links.find((l) => same(l.columns));
      const via = child?.via && labelOf({ schema: child.via.schema ?? 'public', name: child.via.name });
      const key = via ? childrenOf(policy).find((c) => labelOfChild(c) === via)?.key : policy.key;
      if (!child || !link || !key) return null;
      const to = child.refersTo ?? key.map((k) => k.column);
      const references = to.map((column) => link.columns[link.targets.indexOf(column)]);
      // It refers to another unique key than the policy's: the other refusal has the line.
      if (references.some((c) => c === undefined)) return null;
      return declared(
        change(
          policy,
          (c) => c === child,
          (c) => ({ ...c, references: references as string[] }),
        ),
      );
    },
  },
  {
    kind: 'rights are missing',
    of: (r) => /the role may not|cannot be read|permission denied/.test(r.problem),
    follow: run,
  },
  {
    kind: 'a key that may be NULL',
    of: (r) => / may be NULL: a receipt could not name/.test(r.problem),
    follow: ({ policy, problem, remedy, shape }) => {
      const read = readNullable(remedy);
      const at = shape.tables.find((t) => problem.includes(` of ${tableOf(t)} may be`));
      // Of another unique key that it names.
      const other = /^name another unique key in the policy: key: (\[.*?\]);/.exec(remedy)?.[1];
      if (at && other) return declared(withKey(policy, labelOf(at), keyIn(other, at)));
      if (!read || !at) return null;
      const otherwise = {
        policy: withKey(policy, labelOf(at), [{ column: read.another.column }]),
        statement: read.another.statement,
      };
      return { policy, statements: [read.first], otherwise };
    },
  },
  { kind: 'a key that is not unique', of: (r) => /is not unique/.test(r.problem), follow: run },
];

/** What no policy can govern: refused for good, and rightly, where the schema is of that kind. */
const NEVER: Readonly<Record<NonNullable<Shape['never']>, RegExp>> = {
  view: /is not a plain table \(relkind v\)/,
  inheritance: /has inheriting tables/,
  'row security': /has row-level security/,
};

export const isForGood = (shape: Shape, refusal: Refusal): boolean =>
  shape.never !== null && NEVER[shape.never].test(refusal.problem);

export const kindOf = (refusal: Refusal): string =>
  Object.entries(NEVER).find(([, said]) => said.test(refusal.problem))?.[0] ??
  READERS.find((reader) => reader.of(refusal))?.kind ??
  refusal.problem.replaceAll(/"[^"]*"|\([^)]*\)/g, '…');

export const follow = (reading: Reading): Followed | null =>
  READERS.find((reader) => reader.of(reading))?.follow(reading) ?? null;

/** A developer takes what is printed, or what the foreign key does already. */
function fateOf(shape: Shape, problem: string, printed: Child['fate']): Child['fate'] {
  return /would stop the deletion/.test(problem) && shape.number % 2 === 0 ? 'block' : printed;
}

/** The printed entry of dependants, which is an expression of JavaScript; its names may hold any sign. */
function lineIn(remedy: string): Child | null {
  const line = /declare it in dependants of the policy as (\{.*\})(?:, or with another fate:.*)?$/.exec(
    remedy,
  )?.[1];
  return line === undefined ? null : (runInNewContext(`(${line})`) as Child);
}

/** What goes with the type goes with it: no other type may have it. */
function withoutType(clock: PolicyInput['clock']): object {
  const ofType = ['type', 'zone', 'unit', 'digits', 'numeric'];
  return Object.fromEntries(Object.entries(clock).filter(([field]) => !ofType.includes(field)));
}

const BEGINS = /\b(ALTER TABLE|CREATE|GRANT|DROP|SELECT retention\.|INSERT INTO retention\.)/;

/** The printed key, with what only who knows the application can say. */
function keyIn(printed: string, t: ShapeTable): PolicyInput['key'] {
  const key = runInNewContext(`(${printed})`) as { column: string }[];
  // A column that another remedy has added is a number.
  const isOwn = (column: string) => t.columns.some((c) => c.name === column);
  return key.map(({ column }) =>
    isOwn(column) ? { ...keyOf({ ...t, key: [column] }, false)[0]! } : { column },
  );
}

/** Each printed statement, from its first word to its semicolon; quotes may hold anything. */
export function statementsIn(remedy: string): string[] {
  const found: string[] = [];
  for (let rest = remedy; ; ) {
    const from = BEGINS.exec(rest)?.index;
    if (from === undefined) return found;
    let quote: string | null = null;
    let to = from;
    for (; to < rest.length; to += 1) {
      const sign = rest[to]!;
      if (quote) quote = sign === quote ? null : quote;
      else if (sign === '"' || sign === "'") quote = sign;
      else if (sign === ';') break;
    }
    if (to === rest.length) return found;
    found.push(rest.slice(from, to));
    rest = rest.slice(to + 1);
  }
}
