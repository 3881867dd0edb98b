/**
 * Why was this kept or deleted? Any id, as PostgreSQL or a person writes it, with or without its table: every table that Lapse deletes
 * from is asked for it, and every receipt. One id may be a key in several tables: each has its own answer. Keys only, no content
 * of any row; what reads the rows runs READ ONLY.
 */
import pMap from 'p-map';
import { z } from 'zod';
import { atRoots, rootLabel } from '../../engine/statement/leaves';
import { RequestError } from '../../platform/errors';
import { maybeRow, type Query, query, rows } from '../../platform/query';
import { askEach, askOne } from '../../platform/session';
import {
  isKey,
  type KeyColumn,
  keyAsText,
  keysAsRows,
  sql,
  type TableName,
  tableId,
  tableLabel,
  utc,
} from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Services } from '../../services';
import { type Spelled, spell } from '../spelling';
import { readParts } from '../subject';
import { allTargets, type Target } from '../targets';
import { absentUnder, clockIn, type Explanation, explainUnder, LIMITS } from './explain-row';
import { holdsOn, type PastHold, type Proof, proofsOf } from './proof';
import { type Deletion, receiptsAnywhere, receiptsOf } from './receipts-of-key';

/** Tables looked at side by side. */
const AT_ONCE = 4;

/** A deletion, with what its receipt, its run and the chain say of it. */
export type Gone = Deletion & { readonly proof: Proof };

/** One key of one table. */
export interface Found {
  readonly table: string;
  readonly key: string;
  readonly present: boolean;
  /** Oldest first. */
  readonly deletions: readonly Gone[];
  /** One for each policy that governs the table. */
  readonly here: readonly Explanation[];
  /** Policies whose rows take it along: it has no date of its own there. */
  readonly along: readonly string[];
  /** Every hold there ever was on this row, oldest first; those on its organization or user are not known when it is gone. */
  readonly holds: readonly PastHold[];
}

export interface Answer {
  readonly asked: { readonly id: string; readonly table: string | null };
  readonly asOf: string;
  readonly found: readonly Found[];
  /** Tables that were asked for a row with this key. */
  readonly tables: readonly string[];
  /** Tables whose key this cannot be. */
  readonly notItsKey: readonly string[];
  /** When the oldest receipt there is was written; null: there is none. */
  readonly receiptsSince: string | null;
}

/** Throws RequestError 404 for a table nobody knows, 422 for what no key can be. */
export async function answerFor(
  services: Services,
  asked: { id: string; table?: string | undefined },
): Promise<Answer> {
  const { values } = readParts('id', asked.id);
  const policies = await atRoots(services.database, services.policies);
  const only = asked.table === undefined ? null : await rootLabel(services.database, asked.table);
  const targets = unique(allTargets(policies).filter((t) => only === null || tableLabel(t.table) === only));
  const spelled = await spell(
    services,
    targets.map((target) => ({ parts: values, target })),
  );
  const fits = spelled.filter((s) => s.subject !== null);
  const names = namesOf(asked.id, values, fits);
  const receipts = await receiptsIn(services, only, names, policies);
  if (only !== null && targets.length === 0 && receipts.size === 0) refuseTable(only, policies);
  const proofs = await proofsOf(services, [...receipts.values()].flat(), names);
  const holds = await askOne(services.reading, holdsOn(names), LIMITS);
  const gone = (label: string): Gone[] =>
    (receipts.get(label) ?? []).map((d) => ({ ...d, proof: proofs.get(`${d.run} ${d.seq}`)! }));
  const of = (label: string) => ({ deletions: gone(label), holds: holds.filter((h) => h.table === label) });
  const there = await askEach(
    services.database,
    fits.map((s) => isThere(s.target.table, keyOf(policies, s.target), s.subject!)),
    LIMITS,
  );
  const looked = await pMap(
    fits,
    async (s, i) => ({
      ...(await lookIn(services, policies, s, there[i]!)),
      ...of(tableLabel(s.target.table)),
    }),
    { concurrency: AT_ONCE },
  );
  const elsewhere = [...receipts.keys()].filter((t) => !fits.some((s) => tableLabel(s.target.table) === t));
  const past = elsewhere.map(
    (label): Found => ({ table: label, key: names[0]!, present: false, here: [], along: [], ...of(label) }),
  );
  const label = (s: Spelled) => tableLabel(s.target.table);
  return {
    asked: { id: asked.id, table: asked.table ?? null },
    asOf: services.clock().toISOString(),
    found: [...looked.filter((f) => f.present || f.deletions.length > 0), ...past],
    tables: fits.map(label),
    notItsKey: spelled.filter((s) => s.subject === null).map(label),
    receiptsSince: (await askOne(services.reading, OLDEST, LIMITS))?.at ?? null,
  };
}

const OLDEST: Query<{ at: string } | null> = query(
  sql`select ${utc(sql`committed_at`, 's')} as at from retention.receipt order by id limit 1`,
  maybeRow(z.object({ at: z.string() })),
);

const keyName = (t: Target): string => JSON.stringify([tableLabel(t.table), t.columns]);

/** A table that several policies reach is asked once. */
const unique = (targets: readonly Target[]): Target[] => [
  ...new Map(targets.map((t) => [keyName(t), t])).values(),
];

/** As PostgreSQL prints it in each table, then as it was asked. */
const namesOf = (asked: string, values: readonly string[], fits: readonly Spelled[]): string[] => [
  ...new Set([...fits.map((s) => s.subject!), asked, ...(values.length === 1 ? values : [])]),
];

function refuseTable(label: string, policies: readonly Policy[]): never {
  const known = [...new Set(allTargets(policies).map((t) => tableLabel(t.table)))].sort().join(', ');
  const message = `no policy deletes from ${label} and no receipt names this key there; the tables are ${known}`;
  throw new RequestError(404, 'unknown_table', message, 'table');
}

/** By table; of one that was asked for also the partitions that were dropped. */
async function receiptsIn(
  { reading }: Services,
  only: string | null,
  names: readonly string[],
  policies: readonly Policy[],
): Promise<Map<string, Deletion[]>> {
  const partitioned = policies.filter(
    (p) => p.partitioned && (only ?? tableLabel(p.table)) === tableLabel(p.table),
  );
  const dropped = partitioned.flatMap((p) => {
    const clock = names.map((n) => clockOr(n, p)).find((c) => c !== null) ?? null;
    return clock === null
      ? []
      : [{ label: tableLabel(p.table), query: receiptsOf(tableLabel(p.table), names, clock) }];
  });
  const anywhere = await askOne(reading, receiptsAnywhere(names), LIMITS);
  const others = await askEach(
    reading,
    dropped.map((d) => d.query),
    LIMITS,
  );
  const found = new Map<string, Deletion[]>();
  for (const { tables, ...d } of anywhere) {
    for (const label of new Set(tables)) {
      if (only !== null && label !== only) continue;
      found.set(label, [
        ...(found.get(label) ?? []),
        { ...d, as_dependant: tables[0] !== label || d.as_dependant },
      ]);
    }
  }
  for (const [i, { label }] of dropped.entries()) if (others[i]!.length > 0) found.set(label, others[i]!);
  return found;
}

/** Null for what is no key of a partitioned table. */
function clockOr(name: string, policy: Policy): string | null {
  try {
    return clockIn(name, [policy]);
  } catch {
    return null;
  }
}

/** The row itself, where it is there, under each policy that governs its table. */
async function lookIn(
  services: Services,
  policies: readonly Policy[],
  { target, subject }: Spelled,
  present: boolean,
): Promise<Omit<Found, 'deletions' | 'holds'>> {
  const table = tableLabel(target.table);
  const key = subject!;
  const governing = policies.filter((p) => tableLabel(p.table) === table);
  const here = await pMap(governing, (p) => (present ? explainUnder(services, p, key) : absentUnder(p)), {
    concurrency: AT_ONCE,
  });
  const along = policies
    .filter((p) => p.dependants.some((d) => tableLabel(d.table) === table))
    .map((p) => p.name);
  return { table, key, present, here, along };
}

const keyOf = (policies: readonly Policy[], target: Target): readonly KeyColumn[] =>
  policies.flatMap((p) => [p, ...p.dependants]).find((d) => tableLabel(d.table) === tableLabel(target.table))!
    .key;

const isThere = (table: TableName, key: readonly KeyColumn[], value: string): Query<boolean> =>
  query(
    sql`select ${keyAsText('t', key)} as key from ${tableId(table)} t join ${keysAsRows(sql`array[${value}]::text[]`, key, table)} on ${isKey('t', key)} limit 1`,
    (found) => rows(z.object({ key: z.string() }))(found).length > 0,
  );
