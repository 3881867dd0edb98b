/**
 * What a restore of the database brings back is erased again. Detected by one listing: the newest entry of the ledger names a
 * head that the chain does not have. Then every entry is held against the requests that the database knows as done; the
 * others are taken up as requests again, under their own ids, and carried out like any other: holds win, the clock runs.
 * What may go and what was proven is decided by the database (functions/ledger.sql).
 */

import pMap from 'p-map';
import type { Logger } from 'pino';
import { z } from 'zod';
import { reportIncidents } from '../../platform/alerts/incidents';
import { maybeRow, nothing, oneRow, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { sql } from '../../platform/sql';
import type { Services } from '../../services';
import { isAnchored, keep } from './keep';
import {
  dropEntry,
  type Ledger,
  ledgerOf,
  listEntries,
  type Named,
  newestEntry,
  readEntry,
  setAside,
} from './ledger';

const LIMITS = { statementMs: 10_000 };
/** The store's own maximum. */
const PAGE = 1_000;
/** Entries read at once. */
const AT_ONCE = 8;
const CAUSE = 'database.restored:erasures';

export interface Replay {
  readonly checked: number;
  /** Requests that this database does not know as done; for a dry run, what a replay would take up. */
  readonly cameBack: number;
  readonly unproven: number;
  readonly unreadable: number;
}

const NOTHING: Replay = { checked: 0, cameBack: 0, unproven: 0, unreadable: 0 };

/** Null: no ledger is kept, or the database is not behind it. Throws what the store or the database throws. */
export async function replayIfRestored(services: Services, dryRun: boolean): Promise<Replay | null> {
  const ledger = ledgerOf(services);
  if (!ledger || !(await isBehind(services, ledger))) return null;
  const found = await replay(services, ledger, { because: 'restored', dryRun });
  if (found.cameBack + found.unproven + found.unreadable > 0) await tell(services, found, dryRun);
  return found;
}

/** Whatever the newest entry says. Null: no ledger is kept. */
export async function replayAll(services: Services, dryRun: boolean): Promise<Replay | null> {
  const ledger = ledgerOf(services);
  return ledger && replay(services, ledger, { because: 'asked', dryRun });
}

async function isBehind(services: Services, ledger: Ledger): Promise<boolean> {
  const newest = await newestEntry(ledger);
  if (!newest) return false;
  const { is } = await askOne(
    services.database,
    query(isAnchored(newest), oneRow(z.object({ is: z.boolean() }))),
    { ...LIMITS, readOnly: true },
  );
  return !is;
}

interface Order {
  readonly because: 'restored' | 'asked';
  readonly dryRun: boolean;
}

async function replay(services: Services, ledger: Ledger, { because, dryRun }: Order): Promise<Replay> {
  const id = dryRun ? null : await beginReplay(services, because);
  let sum = NOTHING;
  let cursor: string | null = null;
  do {
    const page = await listEntries(ledger, { cursor, limit: PAGE });
    sum = added(sum, await hold(services, ledger, page.entries, id));
    cursor = page.cursor;
  } while (cursor !== null);
  if (id !== null) {
    const walked = sql`select retention.note_replay_walked(${id}::uuid, ${sum.checked}::bigint, ${sum.unreadable}::bigint)`;
    await askOne(services.database, query(walked, nothing), LIMITS);
  }
  return sum;
}

async function beginReplay({ database }: Services, because: Order['because']): Promise<string> {
  const begun = query(
    sql`select retention.begin_replay(${because})::text as id`,
    oneRow(z.object({ id: z.string() })),
  );
  return (await askOne(database, begun, LIMITS)).id;
}

const State = z.object({
  id: z.string(),
  pathname: z.string(),
  state: z.string().nullable(),
  anchored: z.boolean(),
});

/** A page of entries against the requests of this database. `replay` null: nothing is changed. */
async function hold(
  services: Services,
  ledger: Ledger,
  entries: readonly Named[],
  replay: string | null,
): Promise<Replay> {
  const states = await askOne(services.database, statesOf(entries), { ...LIMITS, readOnly: true });
  const of = (s: z.output<typeof State>) => entries.find((e) => e.pathname === s.pathname)!;
  const unknown = states.filter((s) => s.state === null || s.state === 'requested').map(of);
  const read = await pMap(unknown, async (e) => ({ e, content: await readEntry(ledger, e) }), {
    concurrency: AT_ONCE,
  });
  const readable = read.flatMap(({ e, content }) => (content ? [{ ...content, ledger: e.pathname }] : []));
  const sum = { ...NOTHING, checked: entries.length, unreadable: unknown.length - readable.length };
  if (replay === null) return { ...sum, cameBack: readable.length };
  for (const s of states) await settle(services, ledger, s);
  const { adopted, unproven, settled } = await adopt(services, replay, readable);
  for (const { e, content } of read) {
    if (settled.includes(e.id)) await dropEntry(ledger, e);
    if (content === null || unproven.includes(e.id)) await setAside(ledger, e);
  }
  return { ...sum, cameBack: adopted, unproven: unproven.length };
}

const Adopted = z.object({
  adopted: z.number(),
  unproven: z.array(z.string()),
  settled: z.array(z.string()),
});

async function adopt(
  { database }: Services,
  replay: string,
  entries: readonly object[],
): Promise<z.output<typeof Adopted>> {
  const adopted = query(
    sql`select retention.adopt_erasures(${replay}::uuid, ${JSON.stringify(entries)}::jsonb) as it`,
    oneRow(z.object({ it: Adopted })),
  );
  return (await askOne(database, adopted, LIMITS)).it;
}

const statesOf = (entries: readonly Named[]) =>
  query(
    sql`select x.id, x.pathname, e.state, exists (
        select from retention.audit_entry a where a.n = x.n and starts_with(a.hash, x.hash)) as anchored
      from jsonb_to_recordset(${JSON.stringify(entries)}::jsonb) x(id text, pathname text, n bigint, hash text)
      left join retention.erasure e on e.id = x.id::uuid`,
    rows(State),
  );

/** An entry of the lost time whose request is done gets a name of today, one that was taken back goes. */
async function settle(services: Services, ledger: Ledger, s: z.output<typeof State>): Promise<void> {
  if (s.state === 'withdrawn') await dropEntry(ledger, s);
  if (s.state !== 'done' || s.anchored) return;
  await keep(services, ledger, s.id);
  await dropEntry(ledger, s);
}

const added = (a: Replay, b: Replay): Replay => ({
  checked: a.checked + b.checked,
  cameBack: a.cameBack + b.cameBack,
  unproven: a.unproven + b.unproven,
  unreadable: a.unreadable + b.unreadable,
});

async function tell(services: Services, found: Replay, dryRun: boolean): Promise<void> {
  const lost = found.unproven + found.unreadable;
  const message = [
    `the database was restored to a time before ${found.cameBack + lost} erasures`,
    dryRun ? 'only dry runs are allowed, so nothing is erased again yet' : 'they are erased again now',
    ...(lost > 0
      ? [
          `${lost} cannot be taken up (another LAPSE_RIGHTS_KEY, or a backup from before the ledger): ask for them again`,
        ]
      : []),
  ].join('; ');
  services.log.error({ event: 'database.restored', ...found }, message);
  await reportIncidents(services, { wrong: [{ cause: CAUSE, severity: 'critical', message }] });
}

const Ended = z.object({
  it: z
    .object({ id: z.string(), adopted: z.number(), unproven: z.number(), unreadable: z.number() })
    .nullable(),
});

/** Ends a replay of which nothing is under way any more. Returns whether one ended. */
export async function endReplay(services: Services, log: Logger): Promise<boolean> {
  const ended = query(sql`select retention.end_replay() as it`, maybeRow(Ended));
  const it = (await askOne(services.database, ended, LIMITS))?.it;
  if (!it) return false;
  log.info(
    { event: 'erasures.replayed', replay: it.id, adopted: it.adopted },
    'what a restore brought back is erased',
  );
  // What could not be taken up still has to be asked for again.
  if (it.unproven + it.unreadable === 0) await reportIncidents(services, { over: [CAUSE] });
  return true;
}
