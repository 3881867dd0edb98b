/**
 * The row stays; columns of it are set to null, to a constant, or to a keyed hash, and a column says when. A keyed hash
 * (HMAC-SHA256, 64 hexadecimal digits) tells equal values apart from others and cannot be undone without the key.
 *
 * The key is LAPSE_MASK_KEY, a setting of the process; without it a policy that hashes stops the start. What is sent to the
 * database is derived from it for one purpose, as a parameter of a setting of the transaction: no key stands in the text of
 * a statement, in a declaration, in a version or in a log. Columns of one purpose get the same hash for the same value, so
 * that their rows can still be joined; columns of different purposes cannot be held against each other.
 */
import { z } from 'zod';
import { type Problem, SettingsError } from '../../platform/errors';
import { hmacKeys, KEY, keyFor } from '../../platform/keys';
import { id, literal, type Sql, sql, tableId } from '../../platform/sql';
import { clockColumns } from '../clocks';
import { identifier, MARKED_NOW, unfitMark } from './column';
import type { Column, Declared, Strategy, Table } from './strategy';

const MaskedColumn = z.object({
  column: identifier,
  /** What it becomes. `hash` names a purpose: the same purpose gives the same hash for the same value. */
  to: z.union([
    z.null(),
    z.strictObject({ constant: z.union([z.string(), z.number(), z.boolean()]) }),
    z.strictObject({
      hash: z.string().regex(/^[a-z][a-z0-9-]*$/, 'must be a purpose, e.g. "customer-email"'),
    }),
  ]),
  /** Names of constraints on the column that were looked at and allow what it becomes. */
  knownConstraints: z.array(z.string()).optional(),
});
type MaskedColumn = z.infer<typeof MaskedColumn>;

export const Mask = z.object({
  kind: z.literal('mask'),
  /** The column that says when the row was masked: a row is masked once. */
  mark: identifier,
  columns: z.array(MaskedColumn).min(1),
  /** `go`: dependants with fate `delete` are deleted when the row is masked; else they stay with it. */
  dependants: z.literal('go').optional(),
});
export type Mask = z.infer<typeof Mask>;

const VARIABLE = 'LAPSE_MASK_KEY';

/** The keys of the declarations that count in this process: never part of one, so that none is printed or compared with it. */
const KEYS = new WeakMap<Mask, string>();

export const mask = (declared: Mask): Strategy<Mask> => {
  const { mark, columns, dependants } = declared;
  const goes = dependants === 'go';
  const names = columns.map((c) => c.column).join(', ');
  return {
    stays: {
      takesAlong: goes,
      mark,
      empties: columns.filter((c) => c.to === null).map((c) => c.column),
      changes: [
        ...columns.map((c) => ({ column: c.column, to: becomes(c) })),
        { column: mark, to: MARKED_NOW },
      ],
      get settings() {
        return purposesOf(declared).flatMap((purpose) => keysOf(declared, purpose));
      },
      marked: (since) => `${names} of it were masked at ${since}; the row stays`,
    },
    reach: { mark, columns: columns.map(({ column, to }) => ({ column, to })), dependants },
    action: 'mask',
    grace: null,
    archive: null,
    words: {
      noun: 'a mask',
      behindRule: ` (the row stays, without ${names}${goes ? '; what belongs to it goes' : ''})`,
      end: `masked: ${names}`,
      happens: (how) => `stays, with ${names} made unreadable for good, ${how}`,
    },
    periods: [],
    withPeriods: () => declared,
    configured(env, say) {
      if (purposesOf(declared).length === 0) return declared;
      const key = env[VARIABLE]?.trim();
      if (!key || !KEY.test(key)) {
        say(
          `${VARIABLE} must be 64 hexadecimal digits (openssl rand -hex 32): a policy masks by a keyed hash`,
        );
        return declared;
      }
      const configured = { ...declared };
      KEYS.set(configured, key);
      return configured;
    },
    problems: (policy) => problems(declared, policy),
    unfit: (table) => [
      ...unfitMark(table, 'strategy.mark', mark),
      ...columns.flatMap((c, i) => unfit(table, c, `strategy.columns.${i}`)),
    ],
  };
};

const purposesOf = ({ columns }: Mask): string[] => [
  ...new Set(columns.flatMap(({ to }) => (to !== null && 'hash' in to ? [to.hash] : []))),
];

const settingOf = (purpose: string, side: 'inner' | 'outer'): string =>
  `lapse.mask_${purpose.replaceAll('-', '_')}_${side}`;

/** HMAC's two padded keys, so that the database needs nothing but SHA-256. Throws SettingsError where there is no key. */
function keysOf(declared: Mask, purpose: string): { name: string; value: string }[] {
  const key = KEYS.get(declared);
  if (key === undefined) throw new SettingsError([`${VARIABLE} is not set`]);
  const { inner, outer } = hmacKeys(keyFor(key, `lapse.mask/${purpose}`));
  return [
    { name: settingOf(purpose, 'inner'), value: inner },
    { name: settingOf(purpose, 'outer'), value: outer },
  ];
}

function becomes({ column, to }: MaskedColumn): Sql {
  if (to === null) return sql`null`;
  if ('constant' in to) return sql`${to.constant}`;
  const key = (side: 'inner' | 'outer') =>
    sql`decode(current_setting(${literal(settingOf(to.hash, side))}), 'hex')`;
  const value = sql`convert_to(${id('t', column)}::text, 'UTF8')`;
  return sql`encode(sha256(${key('outer')} || sha256(${key('inner')} || ${value})), 'hex')`;
}

/** What finds, orders or names a row must stay as it is, and so must what names its files. */
function problems({ mark, columns }: Mask, policy: Declared): string[] {
  const taken = new Map<string | undefined, string>([
    ...policy.files.flatMap((f) => [
      [f.column, 'names its files, which would be orphaned'] as const,
      [f.bytes, 'says how large its files are'] as const,
    ]),
    ...policy.rules.flatMap((r) =>
      Object.keys(r.match).map((c) => [c, 'decides which rule it has'] as const),
    ),
    [policy.tenants?.column, 'names its tenant'],
    [policy.scope.organization, 'is how a hold or an erasure finds it'],
    [policy.scope.user, 'is how a hold or an erasure finds it'],
    ...policy.key.map((k) => [k.column, 'is its key'] as const),
    ...clockColumns(policy.clock).map((c) => [c, 'is its clock'] as const),
  ]);
  const field = (i: number) => `strategy.columns.${i}.column`;
  return [
    ...(taken.has(mark)
      ? [`strategy.mark: ${mark} ${taken.get(mark)}; the mark is a column of its own`]
      : []),
    ...columns.flatMap(({ column }, i) => [
      ...(taken.has(column)
        ? [`${field(i)}: ${column} of a row ${taken.get(column)}; it cannot be masked`]
        : []),
      ...(column === mark ? [`${field(i)}: the mark cannot be masked itself`] : []),
      ...(columns.findIndex((c) => c.column === column) < i ? [`${field(i)}: ${column} is named twice`] : []),
    ]),
  ];
}

function unfit(table: Table, masked: MaskedColumn, field: string): Problem[] {
  const column = table.columns[masked.column];
  if (!column) return [];
  const [t, c] = [tableId(table).text, id(masked.column).text];
  const known = masked.knownConstraints ?? [];
  const say = (is: boolean, problem: string, remedy: string): Problem[] =>
    is ? [{ problem: `${field}: ${c} of ${t} ${problem}`, remedy }] : [];
  return [
    ...say(
      masked.to === null && column.not_null,
      'may not be NULL',
      `ALTER TABLE ${t} ALTER COLUMN ${c} DROP NOT NULL; or mask it with a constant or a hash`,
    ),
    ...say(
      !holds(column, masked.to),
      `is ${column.type} and cannot hold ${inWords(masked.to)}`,
      'mask it with null, or give it another type',
    ),
    ...say(column.generated, 'is generated', 'mask the columns it is made from'),
    ...say(
      column.unique,
      'stands in a unique index: masked rows would collide, or be told apart by it',
      'take it out of the index, or out of the mask',
    ),
    ...say(
      column.names_files,
      'names files, which would be orphaned',
      'take it out of the mask, and let a policy that deletes rows take the files',
    ),
    ...column.constraints
      .filter(({ name, kind }) => !known.includes(name) && !(kind === 'f' && masked.to === null))
      .flatMap(({ name }) =>
        say(
          true,
          `is under constraint ${id(name).text}, which could refuse each masked row`,
          `read it, then name it in ${field}.knownConstraints of the policy, or ALTER TABLE ${t} DROP CONSTRAINT ${id(name).text};`,
        ),
      ),
  ];
}

const inWords = (to: MaskedColumn['to']): string =>
  to === null
    ? 'null'
    : 'hash' in to
      ? 'a hash of 64 characters'
      : `the constant ${JSON.stringify(to.constant)}`;

const TEXTS = /^(text|character varying)$/;
const NUMBERS = /^(smallint|integer|bigint|numeric|real|double precision)$/;

/** Types that are not known to take it are refused. */
function holds({ plain, type }: Column, to: MaskedColumn['to']): boolean {
  if (to === null) return true;
  const most = Number(/\((\d+)\)$/.exec(type)?.[1] ?? Number.POSITIVE_INFINITY);
  if ('hash' in to) return TEXTS.test(plain) && most >= 64;
  if (typeof to.constant === 'string') return TEXTS.test(plain) && [...to.constant].length <= most;
  return typeof to.constant === 'number' ? NUMBERS.test(plain) : plain === 'boolean';
}
