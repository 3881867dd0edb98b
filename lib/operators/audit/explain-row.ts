/**
 * For any table and key: which receipts name it and why it went, or why it is still here (G5). Judged by the
 * batch's own predicate, with the periods that count now, inside a READ ONLY transaction; keys only, no content.
 */
import { z } from 'zod';
import { atRoots, rootLabel } from '../../engine/statement/leaves';
import { RequestError } from '../../platform/errors';
import { askOne } from '../../platform/session';
import { tableLabel } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { nextRun } from '../../policies/next-run';
import type { Services } from '../../services';
import { storedAs } from '../reach';
import { spellInAny } from '../spelling';
import { readParts } from '../subject';
import { allTargets } from '../targets';
import { type Reason, reasonsOf, type Why } from './reasons';
import { type Deletion, receiptsOf } from './receipts-of-key';
import { factsOf, type RowFacts } from './row-facts';

/** What is not indexed yet is read one by one: about 1 s per 10 million rows. */
export const LIMITS = { statementMs: 60_000, readOnly: true };

export interface RowExplanation {
  readonly table: string;
  readonly key: string;
  /** Oldest first. */
  readonly deletions: readonly Deletion[];
  /** One for each policy that governs the table. Empty: no policy does. */
  readonly here: readonly Explanation[];
  readonly summary: string;
}

export interface Explanation {
  readonly policy: string;
  readonly present: boolean;
  /** `due`: goes with the next run. Else the first of `reasons`. */
  readonly status: 'absent' | 'due' | Why;
  readonly message: string;
  /** Why it stays, the weightiest first. */
  readonly reasons: readonly Reason[];
  readonly rule: string | null;
  readonly clock: string | null;
  /** When it expires under the period that counts now. */
  readonly expiresAt: string | null;
  /** The first run that may take it, if nothing changes; null where none will. */
  readonly goesAt: string | null;
  /** When its organization was last told of it; null: it was not, or has none. */
  readonly toldAt: string | null;
}

export async function explainRow(services: Services, named: string, asked: string): Promise<RowExplanation> {
  const tableName = await rootLabel(services.database, named);
  const rooted = await atRoots(services.database, services.policies);
  const policies = rooted.filter((p) => tableLabel(p.table) === tableName);
  const names = await namesOf(services, tableName, asked);
  const key = names[0]!;
  const receipts = receiptsOf(tableName, names, clockIn(key, policies));
  // Receipts are for readers; the row itself only for a login that may read its table.
  const deletions = await askOne(services.reading, receipts, LIMITS);
  const here: Explanation[] = [];
  for (const policy of policies) here.push(await explainUnder(services, policy, key));
  const known = policies.length > 0 || deletions.length > 0;
  if (!known && !isDependant(rooted, tableName)) {
    throw new RequestError(
      404,
      'unknown_table',
      `no policy governs ${tableName} and no receipt names this key`,
      'table',
    );
  }
  return { table: tableName, key, deletions, here, summary: summaryOf(here, deletions.at(-1)) };
}

function summaryOf(here: readonly Explanation[], last: Deletion | undefined): string {
  const present = here.find((h) => h.present);
  if (present) return `still here under ${present.policy}: ${present.message}`;
  if (!last)
    return 'neither here nor in any receipt: it may never have been there, or it may have been removed by something else than Lapse';
  const run = `run ${last.run} of ${last.policy} on ${last.committed_at} (${last.reason})`;
  if (last.detached) return `it stayed, and lost its reference to a row that went, by ${run}`;
  return last.partition
    ? `if it was there, it went with partition ${last.partition.name}, dropped by ${run}`
    : `deleted by ${run}`;
}

/** How receipts may call the row: as PostgreSQL prints its key, whatever was asked with; then as it was asked. */
async function namesOf(services: Services, tableName: string, asked: string): Promise<string[]> {
  const targets = allTargets(services.policies).filter((t) => tableLabel(t.table) === tableName);
  // Throws the answer that says what a key of this table is like.
  if (targets.length > 0) await spellInAny(services, 'key', readParts('key', asked), targets);
  return storedAs(services, 'key', asked, targets);
}

const isDependant = (policies: readonly Policy[], tableName: string): boolean =>
  policies.some((p) => p.dependants.some((d) => tableLabel(d.table) === tableName));

/** The clock is part of the key of a partitioned table, and says in which partition a row lay. */
export function clockIn(key: string, policies: readonly Policy[]): string | null {
  const policy = policies.find((p) => p.partitioned);
  const parts = policy ? z.array(z.string()).safeParse(JSON.parse(key)).data : undefined;
  return parts?.[policy!.key.findIndex((k) => k.column === policy!.clock.column)] ?? null;
}

export const absentUnder = ({ name: policy }: Policy): Explanation => {
  const nothing = { rule: null, clock: null, expiresAt: null, goesAt: null, toldAt: null, reasons: [] };
  return { policy, present: false, status: 'absent', message: 'not in the table', ...nothing };
};

/** `key` as PostgreSQL prints it. */
export async function explainUnder(services: Services, declared: Policy, key: string): Promise<Explanation> {
  const facts = await factsOf(services, declared, key);
  const { there, judged } = facts;
  if (!there) return absentUnder(declared);
  const reasons = reasonsOf(facts);
  const [first] = reasons;
  return {
    policy: declared.name,
    present: true,
    status: first?.why ?? 'due',
    message: first?.message ?? 'it has expired and goes with the next run',
    reasons,
    rule: judged?.label ?? null,
    clock: judged?.clock ?? there.clock,
    expiresAt: judged?.expires_at ?? null,
    goesAt: goesAt(facts, reasons, services.clock()),
    toldAt: there.told_at,
  };
}

/** Reasons that time alone ends, at an instant that is known: its own date, and that of an extension. */
const ENDS: readonly Why[] = ['not_expired', 'extended'];

function goesAt({ declared, judged, there }: RowFacts, reasons: readonly Reason[], now: Date): string | null {
  if (!judged?.expires_at || !reasons.every((r) => ENDS.includes(r.why))) return null;
  const ends = [judged.expires_at, there?.extension?.keep_until ?? ''].map((at) => Date.parse(at) || 0);
  const from = new Date(Math.max(now.getTime(), ...ends));
  return nextRun(declared.schedule.run, from)?.toISOString() ?? null;
}
