import { afterEach, beforeEach, expect, it } from 'vitest';
import { dice, type Guarded, guarded } from '@/test/support/guarded';
import { keyed } from '@/test/support/keyed';
import { act, OPERATORS } from '@/test/support/operators';

const SEED = Number(process.env.SPELLINGS_SEED ?? 20_261_122);
let roll: (below: number) => number;

let e: Guarded;
beforeEach(async () => {
  roll = dice(SEED);
  e = await guarded({
    LAPSE_OPERATORS: OPERATORS,
    LAPSE_MASS_DELETION_GUARD: 'off',
    LAPSE_COOLING_OFF_DAYS: '0',
  });
});
afterEach(() => e.stop());

const one = <T>(of: readonly T[]): T => of[roll(of.length)]!;
const between = (least: number, below: number) => least + roll(below - least);
const digits = (n: number) => Array.from({ length: n }, () => roll(10)).join('');
const hex = (n: number) => Array.from({ length: n }, () => roll(16).toString(16)).join('');
const uuid = () => [8, 4, 4, 4, 12].map(hex).join('-');
const two = (n: number) => String(n).padStart(2, '0');
const day = () => `${between(1900, 2100)}-${two(between(1, 13))}-${two(between(1, 29))}`;
const clock = () => `${two(roll(24))}:${two(roll(60))}:${two(roll(60))}`;
const mixed = (s: string) => [...s].map((c) => one([c.toLowerCase(), c.toUpperCase()])).join('');
const number = (s: string) => one([s, `+${s}`, `00${s}`, ` ${s}`, `${s} `]);

/** A type, a value of it, and another way to write the same value. */
const TYPES: readonly [type: string, value: () => string, respelled: (value: string) => string][] = [
  ['uuid', uuid, (v) => one([mixed(v), v.replaceAll('-', ''), `{${mixed(v)}}`])],
  ['int2', () => String(between(1, 32_000)), number],
  ['int4', () => String(between(1, 2 ** 31)), number],
  ['int8', () => `9${digits(17)}`, number],
  ['numeric(12,2)', () => `${between(1, 1e9)}.5`, (v) => number(one([v, `${v}0`, `${v}000`]))],
  ['numeric', () => `${between(1, 1e9)}.${digits(4)}0`, (v) => one([v, `${v}00`, `0${v}`, v.slice(0, -1)])],
  ['text', () => one([` ${digits(9)} `, `${digits(9)}\n\u200b"\\`, mixed(uuid())]), (v) => v],
  ['varchar(40)', () => `${digits(9)} ü `, (v) => v],
  ['char(12)', () => `c${digits(6)}`, (v) => one([v, `${v}  `])],
  [
    'timestamptz',
    () => `${day()} ${clock()}.${digits(6)}+00`,
    (v) => one([v.replace(' ', 'T').replace('+00', 'Z'), `${v}:00`, ` ${v} UTC`.replace('+00', '').trim()]),
  ],
  [
    'timestamp',
    () => `${day()} ${clock()}`,
    (v) => one([v.replace(' ', 'T'), `${v}.000`, v.replaceAll('-', '').replace(' ', 'T')]),
  ],
  ['date', () => day(), (v) => one([v.replaceAll('-', ''), `${v}T00:00:00`, ` ${v}`])],
  ['bytea', () => `\\x${hex(18)}`, (v) => one([`\\x${v.slice(2).toUpperCase()}`, v])],
  [
    'interval',
    () => `${between(2, 23)}:00:00`,
    (v) =>
      one([`${v.split(':')[0]} hours`, `PT${v.split(':')[0]}H`, `${Number(v.split(':')[0]) * 60} minutes`]),
  ],
  ['float8', () => `${between(1, 1e6)}.25`, (v) => one([`${v}00`, `${v}e0`, `0${v}`])],
  ['inet', () => `10.${roll(256)}.${roll(256)}.${roll(256)}`, (v) => one([`${v}/32`, v])],
  [
    'macaddr',
    () => Array.from({ length: 6 }, () => hex(2)).join(':'),
    (v) => one([v.toUpperCase(), v.replaceAll(':', '-')]),
  ],
  ['time', () => clock(), (v) => one([`${v}.0`, v])],
];

it.each(TYPES)(
  `%s: what is answered as in force keeps its row, and only that (seed ${SEED})`,
  async (type, value, respelled) => {
    const values = [...new Set(Array.from({ length: 14 }, value))];
    const single = await keyed(e.db, 'single', [['k', type]]);
    const pair = await keyed(e.db, 'pair', [
      ['k', type],
      ['b', 'boolean'],
    ]);
    const owned = await keyed(e.db, 'owned', [['id', 'int4']], {
      columns: `org ${type}`,
      scope: { organization: 'org' },
    });
    e = { ...e, services: { ...e.services, policies: [single, pair, owned] } };
    await e.db.sql(`insert into single select unnest($1::text[])::${type}`, [values]);
    await e.db.sql('insert into pair select k, true from single');
    await e.db.sql(`insert into owned (id, org) select row_number() over (), k from single`);
    const held = values.filter((_, i) => i % 2 === 0);
    const place = async (more: object) => {
      const answer = await act(e.services, 'alice', { action: 'hold.place', reason: 'case', ...more });
      expect([more, answer.status, answer.body.error?.message]).toEqual([more, 200, undefined]);
      expect(answer.body).toMatchObject({ covers: [{ rows: 1 }] });
    };
    for (const v of held) {
      const subject = () => JSON.stringify([respelled(v)]);
      await place({ scope: 'item', table: 'public.single', subject: subject() });
      const both = JSON.stringify([respelled(v), one([true, 'yes', 'T', '1'])]);
      await place({ scope: 'item', table: 'public.pair', subject: both });
      await place({ scope: 'organization', subject: subject() });
    }
    for (const policy of [single, pair, owned]) {
      expect(await e.run(policy)).toMatchObject({
        outcome: 'succeeded',
        deleted: values.length - held.length,
      });
    }
    const left = async (column: string, table: string) =>
      (await e.db.sql(`select ${column}::text as k from ${table} order by 1`)).map((r) => r.k);
    const wanted = (await e.db.sql(`select unnest($1::text[])::${type}::text as k order by 1`, [held])).map(
      (r) => r.k,
    );
    expect(await left('k', 'single')).toEqual(wanted);
    expect(await left('k', 'pair')).toEqual(wanted);
    expect(await left('org', 'owned')).toEqual(wanted);
  },
);
