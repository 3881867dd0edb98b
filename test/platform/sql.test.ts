import { expect, it } from 'vitest';
import {
  allOf,
  anyOf,
  cte,
  empty,
  id,
  inlined,
  lines,
  list,
  literal,
  raw,
  sql,
  statement,
  tableId,
  typed,
  utc,
  withParts,
} from '@/lib/platform/sql';

const HOSTILE = `x'; drop table "users"; --`;

it('a plain string in a hole is a parameter, whatever it holds', () => {
  expect(statement(sql`select ${HOSTILE}`)).toEqual({ text: 'select $1', params: [HOSTILE] });
});

it('a name is only a name, whatever it holds', () => {
  expect(statement(sql`select 1 from ${tableId({ schema: 'public', name: HOSTILE })} t`).text).toBe(
    `select 1 from "public"."x'; drop table ""users""; --" t`,
  );
  expect(id('t', 'a"b').text).toBe('"t"."a""b"');
});

it('a literal is only a literal, whatever it holds', () => {
  expect(literal(HOSTILE).text).toBe(`'x''; drop table "users"; --'`);
});

it('fragments nest, and parameters are numbered by where they stand in the whole', () => {
  const inner = sql`b = ${2} and c = ${null}`;
  expect(statement(sql`a = ${1} and ${inner} and d = ${typed('x', 'uuid')}`)).toEqual({
    text: 'a = $1 and b = $2 and c = $3 and d = $4::uuid',
    params: [1, 2, null, 'x'],
  });
});

it('a fragment that is not used brings no parameter', () => {
  const unused = sql`x = ${1}`;
  expect(statement(sql`select ${list(false && unused, sql`y`)}`)).toEqual({ text: 'select y', params: [] });
});

it('no condition is true for all of them and false for one of them', () => {
  expect(allOf(null, false, undefined, empty).text).toBe('true');
  expect(anyOf(null).text).toBe('false');
  expect(allOf(sql`a`, null, sql`b`).text).toBe('a and b');
  expect(anyOf(sql`a`, sql`b`).text).toBe('(a or b)');
});

it('the parts of a with that are not there leave no comma behind', () => {
  const parts = [cte('a', sql`select 1`, true), null, cte('b', sql`select ${2}`)];
  expect(statement(sql`${withParts(...parts)}select 3`)).toEqual({
    text: 'with a as materialized (select 1),\nb as (select $1)\nselect 3',
    params: [2],
  });
  expect(withParts(null).text).toBe('');
  expect(lines(sql`a`, null, sql`b`).text).toBe('a\nb');
});

it('values written into a text are literals, and a list is refused', () => {
  expect(inlined(sql`select ${HOSTILE}, ${null}, ${3}, ${raw('now()')}`)).toBe(
    `select 'x''; drop table "users"; --', null, '3', now()`,
  );
  expect(() => inlined(sql`select ${['a']}`)).toThrow('a list cannot be written');
});

it('an instant is printed in UTC with its microseconds, as a Date has it, or to the second', () => {
  expect(utc(sql`x.at`, 's').text).toBe(`to_char(x.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`);
  expect(utc(sql`x.at`).text).toBe(`to_char(x.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`);
  expect(utc(sql`${'now'}::timestamptz`, 'ms').text).toBe(
    `to_char($1::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`,
  );
});
