/**
 * Which columns could start the clock of a table, and what each would mean. Only a column that says that a row is over
 * (deleted, expired, finished) makes a proposal by itself; when a row was made says so only of what is made to pass.
 */
import type { Column, TableFacts } from './catalog';
import { singular, snake, wordsOf } from './words';

type ClockType = 'timestamptz' | 'timestamp' | 'date';
export type Meaning = 'deleted' | 'expires' | 'ended' | 'happened' | 'made' | 'changed' | 'unknown';

export interface Clock {
  readonly column: string;
  readonly type: ClockType | 'epoch';
  /** Of a number since 1970. */
  readonly epoch?: { readonly unit: 'seconds' | 'milliseconds'; readonly numeric: boolean };
  readonly meaning: Meaning;
  readonly nullable: boolean;
}

/** Numbers that may count seconds or milliseconds since 1970: the rows say which. */
export interface Epoch {
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
      `^(created|inserted|issued|added|registered|creation|record_created|date_created|date_joined|joined)${AT}`,
    ),
  ],
];

/** Says when something else is: never when the row is over. */
const OF_SOMETHING_ELSE =
  /birth|^dob$|^last_(?!(updated?|modified|changed))|anniversary|^(starts?|begins?|scheduled|planned|due|next|effective|valid_from|publish)|_(start|begin)s?(_|$)/;

export function meaningOf(column: string): Meaning {
  const name = snake(column);
  if (OF_SOMETHING_ELSE.test(name)) return 'unknown';
  return MEANINGS.find(([, form]) => form.test(name))?.[0] ?? 'unknown';
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
        : [{ column: c.name, type, meaning: meaningOf(c.name), nullable: !c.not_null }];
    })
    .sort((a, b) => rank(a) - rank(b));
}

export const epochsOf = (table: TableFacts): Epoch[] =>
  table.columns.filter(isEpoch).map((c) => ({ column: c.name }));

/** As the rows have shown it; undefined where they show no such number. */
export function epochClock(
  table: TableFacts,
  column: string,
  unit: 'seconds' | 'milliseconds' | null | undefined,
): Clock | undefined {
  const found = table.columns.find((c) => c.name === column);
  if (!found || !unit) return undefined;
  const epoch = { unit, numeric: found.plain === 'numeric' };
  return { column, type: 'epoch', epoch, meaning: meaningOf(column), nullable: !found.not_null };
}

const isEpoch = (c: Column): boolean =>
  /^(bigint|integer|numeric)$/.test(c.plain) &&
  meaningOf(c.name) !== 'unknown' &&
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
