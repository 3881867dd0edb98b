/**
 * Which columns could start the clock of a table, and what each would mean. Only a column that says that a row is over
 * (deleted, expired, finished) makes a proposal by itself; when a row was made says so only of what is made to pass.
 */
import type { PolicyInput } from '../../policies/contract';
import type { Column, TableFacts } from './catalog';
import { singular, snake, wordsOf } from './words';

type ClockType = 'timestamptz' | 'timestamp' | 'date';
export type Meaning = 'deleted' | 'expires' | 'ended' | 'happened' | 'made' | 'changed' | 'unknown';

export interface Clock {
  readonly column: string;
  readonly type: ClockType | 'epoch' | 'iso';
  /** Of a number since 1970. */
  readonly epoch?: { readonly unit: 'seconds' | 'milliseconds'; readonly numeric: boolean };
  /** Of a text: how many digits stand behind the second. */
  readonly digits?: 0 | 3 | 6;
  readonly meaning: Meaning;
  readonly nullable: boolean;
  /** What counts where it is empty. */
  readonly otherwise?: string;
  /** It is that of the row of another table. */
  readonly in?: PolicyInput['clock']['in'];
}

/** A number that may count seconds or milliseconds since 1970, or a text that may be ISO 8601: the rows say it. */
export interface ByRows {
  readonly column: string;
}

const TYPES: Readonly<Record<string, ClockType>> = {
  'timestamp with time zone': 'timestamptz',
  'timestamp without time zone': 'timestamp',
  date: 'date',
};

const AT = '(_?(at|on|date|time|timestamp|ts|datetime))?$';
const MEANINGS: readonly [Meaning, RegExp][] = [
  ['deleted', new RegExp(`^(deleted|discarded|removed|trashed)${AT}`)],
  ['deleted', /^(date|time)_(deleted|removed)$/],
  [
    'expires',
    new RegExp(`^(.*_)?(expires?|expired|expiry|expiration|valid_until|valid_to|invalid_after)${AT}`),
  ],
  [
    'ended',
    new RegExp(
      `^(.*_)?(completed|finished|return(ed)?|ended|closed|processed|delivered|sent|resolved|revoked|consumed|used|cancell?ed|failed|performed)${AT}`,
    ),
  ],
  ['changed', new RegExp(`^(updated|modified|changed|last_(updated?|modified|changed))${AT}`)],
  [
    'happened',
    new RegExp(
      `^(occurred|happened|logged|received|requested|viewed|visited|clicked|attempted|submitted|action|event)${AT}`,
    ),
  ],
  ['happened', /^(timestamp|ts|time|event_time|log_time)$/],
  [
    'made',
    new RegExp(
      `^(created|inserted|issued|added|registered|placed|posted|recorded|creation|record_created|date_created|date_joined|joined)${AT}`,
    ),
  ],
];

/** Says when something else is: never when the row is over. */
const OF_SOMETHING_ELSE =
  /birth|^dob$|^last_(?!(updated?|modified|changed))|anniversary|^(starts?|begins?|scheduled|planned|due|next|effective|valid_from|publish)|_(start|begin)s?(_|$)/;

export function meaningOf(column: string, table?: string): Meaning {
  const name = snake(column);
  if (OF_SOMETHING_ELSE.test(name)) return 'unknown';
  const [meaning, form] = MEANINGS.find(([, x]) => x.test(name)) ?? ['unknown'];
  const what = /^(expires|ended)$/.test(meaning) ? form?.exec(name)?.[1] : undefined;
  return what && table !== undefined && !isOfRow(what, table) ? 'unknown' : meaning;
}

/** `reset_sent_at` of a user says when a letter was sent, `token_expires_at` of a token that the row is over. */
function isOfRow(what: string, table: string): boolean {
  const last = wordsOf(what).at(-1)!;
  if (/^(date|time|was|is)$/.test(last) || isMadeToPass(table)) return true;
  return wordsOf(table).some((word) => singular(word) === singular(last));
}

/** The better a column says that its row is over, the earlier it stands. */
const RANK: readonly Meaning[] = ['deleted', 'expires', 'ended', 'happened', 'made', 'unknown', 'changed'];

/** In order of preference. Of a partitioned table only the column it is partitioned by lets partitions go whole. */
export function clocksOf(table: TableFacts): Clock[] {
  const by = table.partitioned?.columns.length === 1 ? table.partitioned.columns[0] : undefined;
  const rank = (c: Clock) => (c.column === by ? -1 : RANK.indexOf(c.meaning));
  return table.columns
    .flatMap((c) => {
      const type = TYPES[c.plain];
      return type === undefined
        ? []
        : [{ column: c.name, type, meaning: meaningOf(c.name, table.name), nullable: !c.not_null }];
    })
    .sort((a, b) => rank(a) - rank(b));
}

export const epochsOf = (table: TableFacts): ByRows[] =>
  table.columns.filter((c) => isEpoch(c, table.name)).map((c) => ({ column: c.name }));

export const isosOf = (table: TableFacts): ByRows[] =>
  table.columns
    .filter((c) => /^(text|character varying)$/.test(c.plain) && meaningOf(c.name, table.name) !== 'unknown')
    .map((c) => ({ column: c.name }));

interface Looked {
  readonly facts: TableFacts;
  /** What the rows have shown. */
  readonly sample:
    | {
        readonly epochs: ReadonlyMap<string, 'seconds' | 'milliseconds' | null>;
        readonly isos: ReadonlyMap<string, 0 | 3 | 6 | null>;
        readonly ages: ReadonlyMap<string, { readonly empty: number }>;
      }
    | string
    | null;
}

/** Those of numbers and texts, as the rows have shown them. */
export function byRows({ facts, sample }: Looked): Clock[] {
  if (typeof sample !== 'object' || sample === null) return [];
  const found = facts.columns.flatMap((c): Clock[] => {
    const [unit, digits] = [sample.epochs.get(c.name), sample.isos.get(c.name)];
    const common = { column: c.name, meaning: meaningOf(c.name, facts.name), nullable: !c.not_null };
    if (unit) return [{ ...common, type: 'epoch', epoch: { unit, numeric: c.plain === 'numeric' } }];
    return digits == null ? [] : [{ ...common, type: 'iso', digits }];
  });
  return found.sort((a, b) => RANK.indexOf(a.meaning) - RANK.indexOf(b.meaning));
}

/** As a policy says it. */
export function declaredAs({
  column,
  type,
  epoch,
  digits,
  meaning,
  otherwise,
  in: other,
}: Clock): PolicyInput['clock'] {
  const more = {
    ...(otherwise ? { otherwise: [otherwise] } : {}),
    ...(other ? { in: other } : {}),
    ...(meaning === 'expires' ? { ahead: true as const } : {}),
  };
  if (type === 'epoch')
    return {
      column,
      type,
      unit: epoch!.unit,
      ...(epoch!.numeric ? { numeric: true as const } : {}),
      ...more,
    };
  if (type === 'iso') return { column, type, ...(digits === 3 ? {} : { digits: digits! }), ...more };
  return { column, type, ...more };
}

/** Empty does not mean that the row is not over: then the date on which it was made counts, where that is always there. */
export function withFallback(
  clock: Clock,
  { facts, sample, clocks }: Looked & { readonly clocks: readonly Clock[] },
): Clock {
  const age = typeof sample === 'object' ? sample?.ages.get(clock.column) : undefined;
  if (!clock.nullable || !/^(happened|made|changed|unknown)$/.test(clock.meaning)) return clock;
  if (facts.partitioned || age?.empty === 0) return clock;
  const made = clocks.find(
    (c) => c.column !== clock.column && c.meaning === 'made' && c.type === clock.type && !c.nullable,
  );
  return made ? { ...clock, otherwise: made.column } : clock;
}

const isEpoch = (c: Column, table: string): boolean =>
  /^(bigint|integer|numeric)$/.test(c.plain) &&
  meaningOf(c.name, table) !== 'unknown' &&
  !/^used$/.test(snake(c.name));

/** What rows are called that are written once and read for a while. Other names may mean what a business lives on. */
const PASSING = new Set(
  `session token log audit delivery notification visit click impression queue outbox inbox cache temp tmp verification
  otp nonce execution invite invitation heartbeat ping trace trail changelog reset`.split(/\s+/),
);
/** An event may be a concert; one of these is not. */
const PASSING_PAIR =
  /(^|_)(webhook|audit|login|signin|sign_in|usage|analytics|tracking|security|outbox|api|http|rate_limit)_(event|attempt|call|history|request|hit)s?$/;

/** That a row was made long ago is reason enough only where rows are made to pass. */
export function isMadeToPass(table: string): boolean {
  const last = wordsOf(table).at(-1);
  return (last !== undefined && PASSING.has(singular(last))) || PASSING_PAIR.test(snake(table));
}
