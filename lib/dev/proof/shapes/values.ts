/** Types that keys are made of, with values that are never two times the same; names as they occur; ages of rows. */
import type { Rolls } from './rolls';

export interface ValueType {
  /** As PostgreSQL prints it. */
  readonly sql: string;
  /** Made by the database where nothing is given. */
  readonly identity?: true;
  /** Another one for each `n`. */
  value(n: number, rolls: Rolls): string;
}

const text = (n: number): string => ['it’s', 'a"b', "o'k", 'ü', 'x,y', '{z}', 'c\\d', ' s', 'plain'][n % 9]!;

const TYPES = {
  uuid: {
    sql: 'uuid',
    value: (n, r) =>
      `${r.hex(8)}-${r.hex(4)}-4${r.hex(3)}-8${r.hex(3)}-${n.toString(16).padStart(4, '0')}${r.hex(8)}`,
  },
  uuidv7: {
    sql: 'uuid',
    value: (n, r) =>
      `0190${(n * 7919).toString(16).padStart(8, '0').slice(0, 4)}-${(n * 7919).toString(16).padStart(4, '0').slice(-4)}-7${r.hex(3)}-9${r.hex(3)}-${n.toString(16).padStart(4, '0')}${r.hex(8)}`,
  },
  int: { sql: 'integer', value: (n) => String(n * 3 - 7) },
  small: { sql: 'smallint', value: (n) => String(n) },
  bigint: { sql: 'bigint', value: (n) => String(9_007_199_254_740_990n + BigInt(n)) },
  identity: { sql: 'bigint', identity: true, value: (n) => String(n + 1) },
  text: { sql: 'text', value: (n) => `${text(n)}-${n}` },
  cuid: { sql: 'text', value: (n, r) => `c${n.toString(36).padStart(4, '0')}${r.hex(20)}` },
  varchar: { sql: 'character varying(40)', value: (n) => `${text(n + 3)}${n}` },
  char: { sql: 'character(8)', value: (n) => `k${n}` },
  numeric: { sql: 'numeric(12,2)', value: (n) => `${n}.${n % 2 === 0 ? '50' : '00'}` },
  date: { sql: 'date', value: (n) => new Date(Date.UTC(2024, 0, 1 + n)).toISOString().slice(0, 10) },
} satisfies Record<string, ValueType>;

export type TypeName = keyof typeof TYPES;
export const typeOf = (name: TypeName): ValueType => TYPES[name];

/** Of a key of one column, and of the last column of a composite one. */
export const ALONE: readonly TypeName[] = [
  'uuid',
  'uuid',
  'uuidv7',
  'int',
  'bigint',
  'identity',
  'identity',
  'text',
  'cuid',
  'varchar',
  'char',
  'numeric',
  'small',
];
export const FIRST: readonly TypeName[] = ['uuid', 'int', 'text', 'date', 'bigint', 'small'];

/** Where nothing odd is wanted, `plain`; else a name that must be quoted. Never two times the same. */
export class Names {
  readonly #given = new Set<string>();

  constructor(
    private readonly rolls: Rolls,
    private readonly oddPercent: number,
  ) {}

  next(plain: string): string {
    const wanted = this.rolls.chance(this.oddPercent) ? odd(plain, this.rolls) : plain;
    let name = wanted;
    name = shortened(name, 63);
    for (let n = 2; this.#given.has(name.toLowerCase()); n += 1) name = `${shortened(wanted, 60)}${n}`;
    this.#given.add(name.toLowerCase());
    return name;
  }
}

/** PostgreSQL keeps 63 bytes of a name. */
function shortened(name: string, most: number): string {
  let short = name;
  while (Buffer.byteLength(short) > most) short = short.slice(0, -1);
  return short;
}

const odd = (plain: string, rolls: Rolls): string =>
  rolls.of([
    plain.toUpperCase(),
    `${plain[0]!.toUpperCase()}${plain.slice(1)}Of`,
    `my ${plain}`,
    `${plain}"quoted"`,
    `tägliche_${plain}`,
    `${plain}.dotted`,
    `${plain}-x`,
    rolls.of(['select', 'order', 'user', 'table', 'end', 'key', 'at', 'default']),
    `1${plain}`,
    `${plain}'s`,
    `${plain}_${'long'.repeat(20)}`.slice(0, 63),
    `${plain};--`,
    `${plain} (old), new`,
    `$${plain}$`,
  ]);
