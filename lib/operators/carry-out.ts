/**
 * An operator's action: one function of the database changes and writes the entry of the audit chain, so that
 * neither is ever without the other; the app's role may write neither by itself. A change of something that
 * decisions are read from waits for the running batches, by the trigger of its table; when the answer comes, no
 * older batch can still run.
 */
import { z } from 'zod';
import { DatabaseError, RequestError } from '../platform/errors';
import { maybeRow, type Query, query } from '../platform/query';
import { askEach, type Limits } from '../platform/session';
import { id, list, Sql, sql, type Value } from '../platform/sql';
import type { Services } from '../services';

/** A batch may take its whole statement time; ten seconds see it out. */
const LOCK_MS = 10_000;
const STATEMENT_MS = 15_000;

export interface Acting {
  readonly services: Services;
  readonly operator: string;
  /** The operator's own: the database asks for it. */
  readonly token: string;
  readonly reason: string;
}

export interface Done {
  /** Number of the entry in the audit chain. */
  readonly entry: number;
  readonly subject: string;
  readonly detail: Record<string, unknown>;
}

/** What a function is called with, after the operator and the reason: values, or with a type of their own. */
type Args = readonly (Value | Sql)[];

const Entry = z.object({
  n: z.coerce.number(),
  action: z.string(),
  subject: z.string(),
  detail: z.record(z.string(), z.unknown()),
});

/** For what an operator looks at before acting. */
export const READING: Limits = { statementMs: STATEMENT_MS, lockMs: LOCK_MS, readOnly: true };
/** For what an operator changes, by their own token. */
export const actingLimits = (acting: Acting): Limits => ({
  statementMs: STATEMENT_MS,
  lockMs: LOCK_MS,
  operatorToken: acting.token,
});

/**
 * Calls a function of schema retention with the operator, the reason and `args`; it returns the entry it wrote,
 * or no row when the action did not apply: then nothing was changed, and the answer is null.
 */
export async function decide(acting: Acting, named: string, args: Args): Promise<Done | null> {
  return (await decideEach(acting, named, [args]))[0] ?? null;
}

/** Several calls of one function, all or none. Those that did not apply are left out. */
export async function decideEach(acting: Acting, named: string, calls: readonly Args[]): Promise<Done[]> {
  const { services, operator } = acting;
  const queries = calls.map((args) => calling(named, [operator, acting.reason, ...args]));
  const entries = await askEach(services.deciding, queries, actingLimits(acting)).catch((error: unknown) => {
    throw refusal(error);
  });
  return entries
    .filter((found) => found !== null)
    .map(({ n: entry, action, subject, detail }) => {
      services.log.info({ event: 'operator.acted', action, operator, entry }, `${action} by ${operator}`);
      return { entry, subject, detail };
    });
}

const calling = (named: string, args: Args): Query<z.output<typeof Entry> | null> => {
  const given = list(...args.map((arg) => (arg instanceof Sql ? arg : sql`${arg}`)));
  return query(
    sql`select n::text, action, subject, detail from ${id('retention', named)}(${given})`,
    maybeRow(Entry),
  );
};

/** What the functions of the schema refuse by a state of their own. */
const OWN: Readonly<Record<string, ConstructorParameters<typeof RequestError>>> = {
  LP015: [
    409,
    'second_person',
    'another operator has to do this, not the one who stopped it or made the dry run; nothing was changed',
  ],
  LP016: [
    403,
    'unproven',
    'the database does not know this token as yours; nothing was changed. Its owner runs npm run migrate with LAPSE_OPERATORS as it is deployed',
  ],
  LP023: [
    409,
    'changed',
    'the restore or its archive changed meanwhile (withdrawn, expired, or rows of it were erased); what was not restored by then was not: look again',
  ],
  LP024: [
    409,
    'second_person',
    'more than 100,000 rows are approved by two people: one makes the dry run under their own name (the console: Make a preview), another approves it; nothing was changed',
  ],
};

/** A constraint violation is the caller's mistake (4xx); a lock timeout is not. */
export function refusal(error: unknown): unknown {
  if (!(error instanceof DatabaseError)) return error;
  if (error.failure === 'busy') {
    return new RequestError(
      409,
      'busy',
      'a batch is still running; nothing was changed, ask again in a few seconds',
    );
  }
  const own = OWN[error.sqlState ?? ''];
  if (own) return new RequestError(...own);
  if (error.sqlState === '42501') {
    return new RequestError(
      409,
      'no_right',
      `the operators' login lacks a right, so nothing was changed (${error.message}): as the owner of the table, grant it to lapse_operator (docs/DATABASES.md)`,
    );
  }
  if (error.sqlState === '23505')
    return new RequestError(409, 'exists', 'this is there already; nothing was changed');
  if (error.sqlState === '23503') {
    return new RequestError(
      409,
      'referenced',
      `a foreign key refuses this (${error.at.constraint ?? '23503'}): other rows refer to it, or it names one that is not there; nothing was changed`,
    );
  }
  if (error.sqlState && /^(22|23|54)/.test(error.sqlState)) {
    return new RequestError(
      422,
      'refused',
      `the database refuses this (${error.at.constraint ?? error.sqlState}); nothing was changed`,
    );
  }
  return error;
}
