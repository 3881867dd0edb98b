/**
 * Runs the statements of one request on one session, in the extended protocol with the unnamed statement, as
 * Neon does: several statements in one string are refused by PostgreSQL (42601). Rows are counted as they
 * arrive, so an answer that is too large is stopped at the limit and not after it filled the memory.
 */
import { type PoolClient, type QueryConfig, Query as QueryValue } from 'pg';

export interface Statement {
  readonly text: string;
  readonly params: readonly (string | null)[];
}

interface Field {
  readonly name: string;
  readonly tableID: number;
  readonly columnID: number;
  readonly dataTypeID: number;
  readonly dataTypeSize: number;
  readonly dataTypeModifier: number;
  readonly format: string;
}

export interface Result {
  readonly command: string;
  readonly rowCount: number | null;
  readonly fields: readonly Field[];
  readonly rows: (string | null)[][];
}

export interface Transaction {
  readonly isolation: string | undefined;
  readonly readOnly: boolean;
  readonly deferrable: boolean;
}

export class ResponseTooLargeError extends Error {}

/** COPY from or to the client: the proxy's driver does not know its messages. */
export class UnexpectedMessageError extends Error {}

/** Counts the bytes of all results of one request, as the JSON they travel in. */
export class Allowance {
  #left: number;
  constructor(bytes: number) {
    this.#left = bytes;
  }
  /** False once the allowance is used up. */
  take(row: readonly (string | null)[]): boolean {
    for (const value of row) this.#left -= value === null ? 5 : Buffer.byteLength(JSON.stringify(value)) + 1;
    return this.#left >= 0;
  }
}

export interface Execution {
  readonly session: PoolClient;
  readonly allowance: Allowance;
  /** Interrupts the running statement. */
  readonly cancel: () => Promise<void>;
}

interface RowQuery extends NodeJS.EventEmitter {
  on(event: 'row', heard: (row: (string | null)[]) => void): this;
  on(event: 'end', heard: (result: Omit<Result, 'rows'>) => void): this;
  on(event: 'error', heard: (error: Error) => void): this;
}
interface Wire {
  sendCopyFail(message: string): void;
  sync(): void;
  once(event: 'copyOutResponse', heard: () => void): void;
  off(event: 'copyOutResponse', heard: () => void): void;
}
// pg exports its event-emitting query class; its types describe only the constructor of another one.
const RowQuery = QueryValue as unknown as new (
  config: QueryConfig & { rowMode: 'array' },
) => RowQuery & {
  handleCopyInResponse(wire: Wire): void;
};

/** PostgreSQL throws away what was sent before the refusal, the end of the request too: it is sent again. */
class Refusing extends RowQuery {
  isCopy = false;

  override handleCopyInResponse(wire: Wire): void {
    this.isCopy = true;
    wire.sendCopyFail('COPY from the client is not served');
    wire.sync();
  }
}

export async function execute(e: Execution, statement: Statement): Promise<Result> {
  const query = new Refusing({
    text: statement.text,
    values: [...statement.params],
    rowMode: 'array',
    queryMode: 'extended',
  } as QueryConfig & { rowMode: 'array' });
  const rows: (string | null)[][] = [];
  let tooLarge = false;
  const wire = (e.session as unknown as { connection: Wire }).connection;
  const copiesOut = () => {
    query.isCopy = true;
  };
  wire.once('copyOutResponse', copiesOut);
  const { command, rowCount, fields } = await new Promise<Omit<Result, 'rows'>>((done, failed) => {
    query.on('row', (row) => {
      if (tooLarge) return;
      if (e.allowance.take(row)) {
        rows.push(row);
        return;
      }
      tooLarge = true;
      rows.length = 0;
      void e.cancel();
    });
    query.on('end', done);
    query.on('error', (error) => failed(tooLarge ? new ResponseTooLargeError() : error));
    (e.session as unknown as { query(q: RowQuery): void }).query(query);
  })
    .catch((error: unknown) => {
      throw query.isCopy ? new UnexpectedMessageError() : error;
    })
    .finally(() => wire.off('copyOutResponse', copiesOut));
  if (tooLarge) throw new ResponseTooLargeError();
  if (query.isCopy) throw new UnexpectedMessageError();
  return { command, rowCount, fields, rows };
}

/** All or nothing; the first error rolls everything back and is thrown. */
export async function executeBatch(
  e: Execution,
  statements: readonly Statement[],
  transaction: Transaction,
): Promise<Result[]> {
  const modes = [
    transaction.isolation && `ISOLATION LEVEL ${transaction.isolation}`,
    transaction.readOnly && 'READ ONLY',
    transaction.deferrable && 'DEFERRABLE',
  ].filter(Boolean);
  await e.session.query(`START TRANSACTION ${modes.join(', ')}`);
  const results: Result[] = [];
  try {
    for (const statement of statements) results.push(await execute(e, statement));
    await e.session.query('COMMIT');
  } catch (error) {
    await e.session.query('ROLLBACK').catch(() => {});
    throw error;
  }
  return results;
}

/** What a session kept from a request: Neon's own list. Neither SET nor session locks survive. */
const RESET = [
  'ROLLBACK',
  'CLOSE ALL',
  'SET SESSION AUTHORIZATION DEFAULT',
  'RESET ALL',
  'DEALLOCATE ALL',
  'UNLISTEN *',
  'SELECT pg_advisory_unlock_all()',
  'DISCARD TEMP',
  'DISCARD SEQUENCES',
].join('; ');

export async function resetSession(session: PoolClient): Promise<void> {
  await session.query(RESET);
}
