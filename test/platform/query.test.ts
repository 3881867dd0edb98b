import { afterEach, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { maybeRow, nothing, oneRow, query, rowCount, rows } from '@/lib/platform/query';
import { ask, askEach, askOne } from '@/lib/platform/session';
import { sql } from '@/lib/platform/sql';
import { type Engine, engine } from '../support/engine';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const limits = { statementMs: 5_000 };
const N = z.object({ n: z.number() });

it('each answer has the name of its query, and a query that is not sent answers undefined', async () => {
  const answers = await ask(
    e.services.database,
    {
      second: query(sql`select ${2}::int as n`, oneRow(N)),
      left: undefined as ReturnType<typeof query<number>> | undefined,
      none: query(sql`select 1 as n where false`, maybeRow(N)),
      all: query(sql`select n from generate_series(1, ${3}::int) n`, rows(N)),
      counted: query(sql`select 1 where true`, rowCount),
      set: query({ text: `select set_config('lapse.x', $1, true)`, params: ['1'] }, nothing),
    },
    limits,
  );
  expect(answers).toEqual({
    second: { n: 2 },
    none: null,
    all: [{ n: 1 }, { n: 2 }, { n: 3 }],
    counted: 1,
    set: undefined,
  });
  expect(answers.left).toBeUndefined();
});

it('an answer of another shape than the statement says is refused', async () => {
  await expect(askOne(e.services.database, query(sql`select 'x' as n`, oneRow(N)), limits)).rejects.toThrow(
    z.ZodError,
  );
});

it('what a request asks for holds in its transaction: its limit, index ranges only, and the operator’s token', async () => {
  const Setting = z.object({ statement: z.string(), seq: z.string(), token: z.string() });
  const read = query(
    sql`select current_setting('statement_timeout') as statement, current_setting('enable_seqscan') as seq,
      coalesce(current_setting('lapse.operator_token', true), '') as token`,
    oneRow(Setting),
  );
  expect(
    await askOne(e.services.database, read, { statementMs: 1_234, indexesOnly: true, operatorToken: 't' }),
  ).toEqual({
    statement: '1234ms',
    seq: 'off',
    token: 't',
  });
  expect(await askOne(e.services.database, read, limits)).toEqual({ statement: '5s', seq: 'on', token: '' });
});

it('queries of one kind are answered in their order, however many there are', async () => {
  const queries = Array.from({ length: 12 }, (_, i) => query(sql`select ${i}::int as n`, oneRow(N)));
  expect(await askEach(e.services.database, queries, limits)).toEqual(queries.map((_, n) => ({ n })));
  expect(await askEach(e.services.database, [], limits)).toEqual([]);
});
