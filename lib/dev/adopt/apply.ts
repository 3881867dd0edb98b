/**
 * Runs the statements of the SQL file as the owner, each for itself: an index that is built concurrently takes no part
 * in a transaction. One that fails does not keep the others from running; all of them may be run again.
 */
import { Client } from 'pg';
import { RUN_EACH, type Step } from './judge';

/** Longer than a busy table's statements take; a lock that is waited for makes others wait behind it. */
const LOCK_MS = 10_000;

export interface Applied {
  readonly step: Step;
  /** Null: it ran. */
  readonly error: string | null;
}

export async function apply(
  ownerUrl: string,
  steps: readonly Step[],
  say: (line: string) => void,
): Promise<Applied[]> {
  const client = new Client({ connectionString: ownerUrl, application_name: 'lapse adopt' });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query(`set lock_timeout = ${LOCK_MS}`);
    const done: Applied[] = [];
    for (const step of steps) {
      const error = await run(client, step.statement);
      say(`${error === null ? 'done' : 'failed'}: ${step.statement}${error === null ? '' : `\n  ${error}`}`);
      done.push({ step, error });
    }
    return done;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function run(client: Client, statement: string): Promise<string | null> {
  try {
    for (const one of await answeredBy(client, statement)) {
      await dropUnfinished(client, one);
      await toItsEnd(client, one);
    }
    return null;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === undefined) throw error;
    return `${message} (${code})`;
  }
}

/** What opens and guards partitions takes some at a time, and answers how many are left. */
async function toItsEnd(client: Client, statement: string): Promise<void> {
  for (;;) {
    const { rows } = await client.query<string[]>({ text: statement, rowMode: 'array' });
    if (!OPENS.test(statement) || Number(rows[0]?.[0] ?? 0) === 0) return;
  }
}
const OPENS = /^SELECT retention\.(open_partitions|protect)\(/;

/** The statement itself, or those it answers. */
async function answeredBy(client: Client, statement: string): Promise<string[]> {
  if (!statement.endsWith(RUN_EACH)) return [statement];
  const asked = statement.slice(0, -RUN_EACH.length);
  const { rows } = await client.query<string[]>({ text: asked, rowMode: 'array' });
  return rows.flat();
}

/** A build that was interrupted leaves an index that answers nothing, and whose name is taken. */
async function dropUnfinished(client: Client, statement: string): Promise<void> {
  const [, name, schema] =
    /^CREATE INDEX CONCURRENTLY IF NOT EXISTS (\w+) ON "((?:[^"]|"")+)"\./.exec(statement) ?? [];
  if (name === undefined || schema === undefined) return;
  const { rows } = await client.query<{ index: string }>(
    `select i.indexrelid::regclass::text as index from pg_index i join pg_class c on c.oid = i.indexrelid
     join pg_namespace n on n.oid = c.relnamespace where c.relname = $1 and n.nspname = $2 and not i.indisvalid`,
    [name, schema.replaceAll('""', '"')],
  );
  for (const { index } of rows) await client.query(`drop index concurrently ${index}`);
}
