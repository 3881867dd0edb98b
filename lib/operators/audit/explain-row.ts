/**
 * For any table and key: which receipts name it and why it went, or why it is still here (G5). Judged by the
 * batch's own predicate, with the periods that count now, inside a READ ONLY transaction; keys only, no content.
 */
import { z } from 'zod';
import { admissionFacts } from '../../engine/guard/facts';
import { atRoots, rootLabel } from '../../engine/statement/leaves';
import { type Leg, legsOf } from '../../engine/statement/leg';
import { walkOf } from '../../engine/statement/legs';
import {
  deadLettered,
  extended,
  held,
  instantOf,
  isBefore,
  mayGo,
  source,
  staysBecause,
} from '../../engine/statement/predicate';
import { RequestError } from '../../platform/errors';
import { maybeRow, oneRow, type Query, query, rows } from '../../platform/query';
import { ask, askOne } from '../../platform/session';
import {
  id,
  isKey,
  keysAsRows,
  raw,
  type Sql,
  sql,
  tableLabel,
  typed,
  united,
  utc,
  withParts,
} from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { withPeriods } from '../../policies/effective';
import { versionOf } from '../../policies/fingerprint';
import { markOf } from '../../policies/going';
import { strategyOf } from '../../policies/strategies';
import type { Services } from '../../services';
import { storedAs } from '../reach';
import { spellInAny } from '../spelling';
import { readParts } from '../subject';
import { allTargets } from '../targets';

/** Receipts are searched by key without an index, which would cost every batch: about 1 s per 10 million rows. */
const LIMITS = { statementMs: 60_000, readOnly: true };
/** A key is deleted once; a soft delete, its purge and a reused key make a few. */
const MOST_RECEIPTS = 50;

export interface RowExplanation {
  readonly table: string;
  readonly key: string;
  /** Oldest first. */
  readonly deletions: readonly Deletion[];
  /** One for each policy that governs the table. Empty: no policy does. */
  readonly here: readonly Explanation[];
  readonly summary: string;
}

interface Explanation {
  readonly policy: string;
  readonly present: boolean;
  /** `due`: goes with the next run. Else why it stays. */
  readonly status:
    | 'absent'
    | 'due'
    | 'held'
    | 'extended'
    | 'dead_letter'
    | 'marked'
    | 'referenced'
    | 'not_expired'
    | 'no_clock'
    | 'condition'
    | 'unnoticed'
    | 'unknown_rule'
    | 'for_ever'
    | 'paused'
    | 'guarded';
  readonly message: string;
  readonly rule: string | null;
  readonly clock: string | null;
  /** When it expires under the period that counts now. */
  readonly expiresAt: string | null;
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
function clockIn(key: string, policies: readonly Policy[]): string | null {
  const policy = policies.find((p) => p.partitioned);
  const parts = policy ? z.array(z.string()).safeParse(JSON.parse(key)).data : undefined;
  return parts?.[policy!.key.findIndex((k) => k.column === policy!.clock.column)] ?? null;
}

const Deletion = z.object({
  run: z.string(),
  seq: z.number(),
  policy: z.string(),
  policy_version: z.string(),
  action: z.string(),
  actor: z.string(),
  reason: z.string(),
  committed_at: z.string(),
  as_of: z.string(),
  as_dependant: z.boolean(),
  partition: z.looseObject({ name: z.string() }).nullable(),
  entry: z.number().nullable(),
});
type Deletion = z.infer<typeof Deletion>;

function receiptsOf(tableName: string, names: readonly string[], clock: string | null): Query<Deletion[]> {
  const uuid = names.find((key) => z.guid().safeParse(key).success) ?? null;
  const at = typed(clock, 'timestamptz');
  return query(
    sql`select c.run, c.seq, c.policy, c.policy_version, c.action, c.actor, c.reason,
      ${utc(sql`c.committed_at`)} as committed_at, ${utc(sql`c.as_of`, 'ms')} as as_of,
      c.table_name <> all(n.names) as as_dependant, c.partition, (select n::int from retention.audit_entry e where e.action = 'run.sealed' and e.subject = c.run::text) as entry
    from retention.receipt c cross join (select retention.names_of(${tableName}) as names) n
    where (c.table_name = any(n.names) and (c.keys && ${names}::text[] or ${uuid}::uuid = any(c.uuid_keys) or retention.names_uuid(c.key_bytes, ${uuid}::uuid)))
      or (c.dependants ?| n.names and exists (select 1 from unnest(n.names) x where c.dependants -> x ?| ${names}::text[]))
      or (c.action = 'drop_partition' and c.table_name = ${tableName} and ${at} >= coalesce((c.partition ->> 'from')::timestamptz, '-infinity')
        and ${at} < coalesce((c.partition ->> 'to')::timestamptz, 'infinity'))
    order by c.id limit ${raw(String(MOST_RECEIPTS))}`,
    rows(Deletion),
  );
}

const Judged = z.object({
  label: z.string().nullable(),
  clock: z.string().nullable(),
  stays: z.string().nullable(),
  may_go: z.boolean(),
  finite: z.boolean().nullable(),
  past: z.boolean().nullable(),
  expires_at: z.string().nullable(),
  unknown: z.boolean(),
});
type Judged = z.infer<typeof Judged>;

const State = z.object({ paused: z.boolean(), last_reason: z.string().nullable() });
type State = z.infer<typeof State>;

const stateOf = (policy: Policy): Query<State> =>
  query(
    sql`select coalesce((select paused from retention.policy_state where policy = ${policy.name}), false) or (select stopped from retention.kill_switch) as paused,
        (select reason from retention.run where policy = ${policy.name} and mode = 'delete' and finished_at is not null order by started_at desc limit 1) as last_reason`,
    oneRow(State),
  );

async function explainUnder(services: Services, declared: Policy, key: string): Promise<Explanation> {
  const { database } = services;
  const now = services.clock();
  const cooling = services.settings.guards.coolingOffSeconds;
  const { admission, state } = await ask(
    database,
    { admission: admissionFacts(declared, versionOf(declared), now, cooling), state: stateOf(declared) },
    LIMITS,
  );
  const policy = withPeriods(declared, admission.periods);
  const legs = legsOf(policy, now, cooling);
  const { there, judged: all } = await ask(
    database,
    {
      there: presence(policy, key, now.toISOString()),
      judged: judgments(policy, legs, key, now.toISOString()),
    },
    LIMITS,
  );
  if (!there) {
    const base = { policy: policy.name, rule: null, clock: null, expiresAt: null };
    return { ...base, present: false, status: 'absent', message: 'not in the table' };
  }
  const judged = all[0] ?? null;
  const [status, message] = judge(policy, there, judged, state);
  return {
    policy: policy.name,
    present: true,
    status,
    message,
    rule: judged?.label ?? null,
    clock: judged?.clock ?? there.clock,
    expiresAt: judged?.expires_at ?? null,
  };
}

/** The weightiest reason first. */
function judge(
  policy: Policy,
  there: Present,
  judged: Judged | null,
  state: State,
): [status: Explanation['status'], message: string] {
  const weighty = (['held', 'extended', 'dead_letter'] as const).find((why) => there[why]);
  if (weighty) return [weighty, MESSAGES[weighty]];
  const { stays } = strategyOf(policy);
  if (stays && there.marked !== null) return ['marked', stays.marked(there.marked)];
  if (there.clock === null) return ['no_clock', `${policy.clock.column} is not set: it never expires`];
  if (!judged) return ['for_ever', 'its rule keeps forever, or no rule matches it'];
  if (judged.unknown)
    return ['unknown_rule', 'its organization has a tier no rule knows: kept, and reported'];
  if (judged.may_go) {
    if (state.paused) return ['paused', 'it has expired, and deletion is paused'];
    if (['guarded', 'cooling'].includes(String(state.last_reason))) {
      return ['guarded', 'it has expired, and the last run was stopped by a guard rail'];
    }
    return ['due', 'it has expired and goes with the next run'];
  }
  if (judged.stays === 'referenced') return ['referenced', 'a row of a declared dependant keeps it here'];
  if (judged.expires_at === null) return ['for_ever', 'its rule keeps forever'];
  if (!judged.past) return ['not_expired', `it expires at ${judged.expires_at}`];
  if (judged.stays === 'unnoticed')
    return ['unnoticed', 'it is past its period, and its organization was not told of it in time'];
  return ['condition', 'it is past its period, and the condition of the policy is not true for it'];
}

const MESSAGES = {
  held: 'a legal hold keeps it',
  extended: 'its retention was extended',
  dead_letter: 'it could not be deleted and is a dead letter',
};

const keyed = (policy: Policy, key: string): Sql =>
  sql`join ${keysAsRows(sql`array[${key}]::text[]`, policy.key)} on ${isKey('t', policy.key)}`;

const Present = z.object({
  clock: z.string().nullable(),
  held: z.boolean(),
  extended: z.boolean(),
  dead_letter: z.boolean(),
  marked: z.string().nullable(),
});
type Present = z.infer<typeof Present>;

/** One row when the row is there, whatever its rule. */
function presence(policy: Policy, key: string, asOfText: string): Query<Present | null> {
  const asOf = typed(asOfText, 'timestamptz');
  const mark = markOf(policy);
  return query(
    sql`select ${utc(instantOf(policy))} as clock, ${held({ policy, held: null })} as held, ${extended(policy, asOf)} as extended,
      ${deadLettered(policy, asOf)} as dead_letter, ${mark === null ? sql`null` : utc(id('t', mark))} as marked
    from ${source(policy)} t ${keyed(policy, key)}`,
    maybeRow(Present),
  );
}

/** One row for each leg that the row belongs to. */
function judgments(policy: Policy, legs: readonly Leg[], key: string, asOf: string): Query<Judged[]> {
  const clock = id('t', policy.clock.column);
  const parts = legs.map((leg) => {
    const w = walkOf(policy, leg, asOf);
    return sql`(${withParts(...w.lead)}select ${w.label} as label, ${utc(instantOf(policy))} as clock,
      coalesce(${mayGo(w)}, false) as may_go, ${staysBecause(w)} as stays,
      isfinite(${clock}) as finite, ${isBefore(policy, clock, w.cutoff)} as past,
      case when isfinite(${clock}) then ${utc(sql`(${instantOf(policy)} + (${w.asOf} - ${w.cutoff}))`)} end as expires_at,
      ${w.unknown} as unknown
    from ${w.rows} ${keyed(policy, key)} where ${w.own})`;
  });
  return query(united(parts), rows(Judged));
}
