/**
 * Keeps a request in the ledger before it is called done: an answer that says "erased" is one that a restore cannot undo.
 * While the database is older than the newest entry nothing new is written, or that entry would no longer be the
 * newest and the restore would pass unseen; a replay that has looked at every entry lets go.
 */
import { z } from 'zod';
import { chainHead } from '../../operators/audit/head';
import { codeOf } from '../../platform/errors';
import { maybeRow, nothing, oneRow, query } from '../../platform/query';
import { ask, askOne } from '../../platform/session';
import { sql } from '../../platform/sql';
import type { Services } from '../../services';
import { dropEntry, type Ledger, ledgerOf, nameOf, newestEntry, writeEntry } from './ledger';

const LIMITS = { statementMs: 5_000 };

/** `kept`: it is in the ledger. `off`: there is none. Otherwise it is not, and the request stays open. */
export type Keeping = 'kept' | 'off' | 'restored' | 'failed';

export async function keepInLedger(services: Services, id: string): Promise<Keeping> {
  const ledger = ledgerOf(services);
  if (!ledger) return 'off';
  try {
    if (!(await mayWrite(services, ledger))) return 'restored';
    await keep(services, ledger, id);
    return 'kept';
  } catch (error) {
    services.log.error(
      { event: 'erasure.unkept', erasure: id, error_code: codeOf(error) },
      'the ledger did not take an erasure: it stays open',
    );
    return 'failed';
  }
}

/** Somebody took it back in the last moment: what nobody wants any more is erased by no replay. */
export async function dropWithdrawn(services: Services, id: string): Promise<void> {
  const of = query(
    sql`select ledger from retention.erasure where id = ${id}::uuid and state = 'withdrawn' and ledger is not null`,
    maybeRow(z.object({ ledger: z.string() })),
  );
  const found = await askOne(services.database, of, LIMITS);
  const ledger = ledgerOf(services);
  if (found && ledger) await dropEntry(ledger, { pathname: found.ledger, id });
}

/** Writes the entry under the head of today; an entry of before goes when the database knows the new one. */
export async function keep(services: Services, ledger: Ledger, id: string): Promise<void> {
  const { database } = services;
  const head = await chainHead(services);
  const { it, before } = await askOne(database, entryOf(id), LIMITS);
  if (!head || it.proof === null) throw new Error('a request that was not let begin has no entry');
  const called = nameOf(ledger, id, head);
  await writeEntry(ledger, called, { ...it, proof: it.proof });
  await askOne(database, query(sql`select retention.note_ledger(${id}::uuid, ${called})`, nothing), LIMITS);
  if (before !== null && before !== called) await dropEntry(ledger, { pathname: before, id });
}

const Entry = z.object({
  id: z.string(),
  scope: z.enum(['organization', 'user']),
  subject: z.string(),
  reason: z.string(),
  requested_by: z.string(),
  identifiers: z.record(z.string(), z.array(z.string())),
  proof: z.string().nullable(),
});

const entryOf = (id: string) =>
  query(
    sql`select jsonb_build_object('id', id, 'scope', scope, 'subject', subject, 'reason', reason, 'requested_by', requested_by,
        'identifiers', identifiers,        'proof', retention.prove_erasure(id)) as it, ledger as before
      from retention.erasure where id = ${id}::uuid`,
    oneRow(z.object({ it: Entry, before: z.string().nullable() })),
  );

const yes = z.object({ is: z.boolean() });

async function mayWrite(services: Services, ledger: Ledger): Promise<boolean> {
  const newest = await newestEntry(ledger);
  if (!newest) return true;
  const { anchored, walked } = await ask(
    services.database,
    {
      anchored: query(isAnchored(newest), oneRow(yes)),
      walked: query(
        sql`select exists (select from retention.replay where ended_at is null and walked_at is not null) as is`,
        oneRow(yes),
      ),
    },
    { ...LIMITS, readOnly: true },
  );
  return anchored.is || walked.is;
}

/** Whether the chain of this database has the head of that time. */
export const isAnchored = ({ n, hash }: { readonly n: number; readonly hash: string }) =>
  sql`select exists (select from retention.audit_entry where n = ${n}::bigint and starts_with(hash, ${hash})) as is`;
