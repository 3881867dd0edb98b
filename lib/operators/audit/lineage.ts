/**
 * For any table and key: which receipts name it and why it went, or why it is still here (G5). Judged by the
 * batch's own predicate, with the periods that count now, inside a READ ONLY transaction; keys only, no content.
 */
import { z } from 'zod';
import { admissionFacts, Facts } from '../../engine/guard/facts';
import { atRoots, rootLabel } from '../../engine/statement/leaves';
import { type Leg, legsOf } from '../../engine/statement/leg';
import { tenantsOf } from '../../engine/statement/pick';
import {
  before,
  deadLettered,
  extended,
  governed,
  held,
  mayGo,
  source,
  staysBecause,
} from '../../engine/statement/predicate';
import type { Database, Row, Statement } from '../../platform/database';
import { RequestError } from '../../platform/errors';
import { answerTimeoutMs, session } from '../../platform/session';
import { keysFrom, keyText, name, Parameters, sameKey, tableLabel, text } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { withPeriods } from '../../policies/effective';
import { versionOf } from '../../policies/fingerprint';
import type { Services } from '../../services';
import { storedAs } from '../reach';
import { spellInAny } from '../spelling';
import { readParts } from '../subject';
import { allTargets } from '../targets';

/** Receipts are searched by key without an index, which would cost every batch: about 1 s per 10 million rows. */
const STATEMENT_MS = 60_000;
/** A key is deleted once; a soft delete, its purge and a reused key make a few. */
const MOST_RECEIPTS = 50;

export interface Lineage {
  readonly table: string;
  readonly key: string;
  /** Oldest first. */
  readonly deletions: readonly Row[];
  /** One for each policy that governs the table. Empty: no policy does. */
  readonly here: readonly Standing[];
  readonly summary: string;
}

interface Standing {
  readonly policy: string;
  readonly present: boolean;
  /** `due`: goes with the next run. Else why it stays. */
  readonly status:
    | 'absent'
    | 'due'
    | 'held'
    | 'extended'
    | 'dead_letter'
    | 'referenced'
    | 'not_expired'
    | 'no_clock'
    | 'condition'
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

export async function lineage(services: Services, named: string, asked: string): Promise<Lineage> {
  const tableName = await rootLabel(services.database, named);
  const rooted = await atRoots(services.database, services.policies);
  const policies = rooted.filter((p) => tableLabel(p.table) === tableName);
  // Receipts are for whoever looks; the row itself only for who may read its table.
  const readIn =
    (database: Database) =>
    async (s: Statement[]): Promise<Row[][]> =>
      database.transaction([session(STATEMENT_MS), ...s], {
        readOnly: true,
        timeoutMs: answerTimeoutMs(STATEMENT_MS),
      });
  const names = await namesOf(services, tableName, asked);
  const key = names[0]!;
  const [, deletions] = await readIn(services.reading)([
    receiptsOf(tableName, names, clockIn(key, policies)),
  ]);
  const here: Standing[] = [];
  for (const policy of policies) here.push(await standing(services, policy, key, readIn(services.database)));
  const known = policies.length > 0 || (deletions?.length ?? 0) > 0;
  if (!known && !isDependant(rooted, tableName)) {
    throw new RequestError(
      404,
      'unknown_table',
      `no policy governs ${tableName} and no receipt names this key`,
      'table',
    );
  }
  const last = deletions?.at(-1);
  const present = here.find((h) => h.present);
  const summary = present
    ? `still here under ${present.policy}: ${present.message}`
    : last?.partition
      ? `if it was there, it went with partition ${z.object({ name: z.string() }).parse(last.partition).name}, dropped by run ${String(last.run)} of ${String(last.policy)} on ${String(last.committed_at)} (${String(last.reason)})`
      : last
        ? `deleted by run ${String(last.run)} of ${String(last.policy)} on ${String(last.committed_at)} (${String(last.reason)})`
        : 'neither here nor in any receipt: it may never have been there, or it may have been removed by something else than Lapse';
  return { table: tableName, key, deletions: deletions ?? [], here, summary };
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

const receiptsOf = (tableName: string, names: readonly string[], clock: string | null): Statement => ({
  text: `select c.run, c.seq, c.policy, c.policy_version, c.action, c.actor, c.reason,
      to_char(c.committed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as committed_at,
      to_char(c.as_of at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as as_of,
      c.table_name <> all(n.names) as as_dependant, c.partition, (select n::int from retention.audit_entry e where e.action = 'run.sealed' and e.subject = c.run::text) as entry
    from retention.receipt c cross join (select retention.names_of($1) as names) n
    where (c.table_name = any(n.names) and (c.keys && $2::text[] or $3::uuid = any(c.uuid_keys)))
      or (c.dependants ?| n.names and exists (select 1 from unnest(n.names) x where c.dependants -> x ?| $2::text[]))
      or (c.action = 'drop_partition' and c.table_name = $1 and $4::timestamptz >= coalesce((c.partition ->> 'from')::timestamptz, '-infinity')
        and $4::timestamptz < coalesce((c.partition ->> 'to')::timestamptz, 'infinity'))
    order by c.id limit ${MOST_RECEIPTS}`,
  params: [tableName, names, names.find((key) => z.guid().safeParse(key).success) ?? null, clock],
});

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

async function standing(
  services: Services,
  declared: Policy,
  key: string,
  read: (s: Statement[]) => Promise<Row[][]>,
): Promise<Standing> {
  const now = services.clock();
  const cooling = services.settings.guards.coolingOffSeconds;
  const [, admission, state] = await read([
    admissionFacts(declared, versionOf(declared), now, cooling),
    {
      text: `select coalesce((select paused from retention.policy_state where policy = $1), false) or (select stopped from retention.kill_switch) as paused,
        (select reason from retention.run where policy = $1 and mode = 'delete' and finished_at is not null order by started_at desc limit 1) as last_reason`,
      params: [declared.name],
    },
  ]);
  const policy = withPeriods(declared, Facts.parse(admission?.[0]?.admission).periods);
  const asOf = now.toISOString();
  const legs = legsOf(policy, now, cooling);
  const rows = await read([
    presence(policy, key, asOf),
    ...legs.map((leg) => judgment(policy, leg, key, asOf)),
  ]);
  const there = rows[1]?.[0];
  const base = { policy: policy.name, rule: null, clock: null, expiresAt: null };
  if (!there) return { ...base, present: false, status: 'absent', message: 'not in the table' };
  const weighty = there.held
    ? 'held'
    : there.extended
      ? 'extended'
      : there.dead_letter
        ? 'dead_letter'
        : null;
  const judged = rows
    .slice(2)
    .flat()
    .map((r) => Judged.parse(r))
    .at(0);
  const found = {
    policy: policy.name,
    present: true,
    rule: judged?.label ?? null,
    clock: judged?.clock ?? (there.clock as string | null),
    expiresAt: judged?.expires_at ?? null,
  };
  const say = (status: Standing['status'], message: string): Standing => ({ ...found, status, message });
  if (weighty) return say(weighty, MESSAGES[weighty]);
  if (there.clock === null) return say('no_clock', `${policy.clock.column} is not set: it never expires`);
  if (!judged) return say('for_ever', 'its rule keeps forever, or no rule matches it');
  if (judged.unknown)
    return say('unknown_rule', 'its organization has a tier no rule knows: kept, and reported');
  if (judged.may_go) {
    if (state?.[0]?.paused) return say('paused', 'it has expired, and deletion is paused');
    if (['guarded', 'cooling'].includes(String(state?.[0]?.last_reason))) {
      return say('guarded', 'it has expired, and the last run was stopped by a guard rail');
    }
    return say('due', 'it has expired and goes with the next run');
  }
  if (judged.stays === 'referenced') return say('referenced', 'a row of a declared dependant keeps it here');
  if (judged.expires_at === null) return say('for_ever', 'its rule keeps forever');
  if (!judged.past) return say('not_expired', `it expires at ${judged.expires_at}`);
  return say('condition', 'it is past its period, and the condition of the policy is not true for it');
}

const MESSAGES = {
  held: 'a legal hold keeps it',
  extended: 'its retention was extended',
  dead_letter: 'it could not be deleted and is a dead letter',
};

const utc = (instant: string) => `to_char(${instant} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
const instantOf = (policy: Policy): string => {
  const clock = `t.${name(policy.clock.column)}`;
  return policy.clock.type === 'timestamptz'
    ? clock
    : `(${clock}::timestamp at time zone ${text(policy.clock.zone)})`;
};
const keyed = (policy: Policy, key: string, p: Parameters) =>
  `join ${keysFrom(`array[${p.add(key)}]::text[]`, policy.key)} on ${sameKey('t', policy.key)}`;

/** One row when the row is there, whatever its rule. */
function presence(policy: Policy, key: string, asOfText: string): Statement {
  const p = new Parameters();
  const asOf = p.add(asOfText, 'timestamptz');
  return p.statement(`select ${utc(instantOf(policy))} as clock, ${held(policy)} as held, ${extended(policy, asOf)} as extended,
      ${deadLettered(policy, asOf)} as dead_letter, ${keyText('t', policy.key)} as key
    from ${source(policy)} t ${keyed(policy, key, p)}`);
}

/** One row when the row belongs to this leg. */
function judgment(policy: Policy, leg: Leg, key: string, asOfText: string): Statement {
  const p = new Parameters();
  const asOf = p.add(asOfText, 'timestamptz');
  const tenants = leg.kind === 'tenants' ? `with ${tenantsOf(policy, leg, null, asOf, p, null)} ` : '';
  const label = leg.kind === 'rule' ? p.add(leg.rule.label, 'text') : 'w.label';
  const cutoff = leg.kind === 'rule' ? p.add(leg.cutoff, 'timestamptz') : 'w.cutoff';
  const match =
    leg.kind === 'rule'
      ? Object.entries(leg.rule.match).map(([column, value]) => `t.${name(column)} = ${p.add(value)}`)
      : [];
  return p.statement(`${tenants}select ${label} as label, ${utc(instantOf(policy))} as clock,
      coalesce(${mayGo(policy, leg, asOf, p)}, false) as may_go, ${staysBecause(policy, leg, asOf, p)} as stays,
      isfinite(t.${name(policy.clock.column)}) as finite, ${before(policy, 't', cutoff)} as past,
      case when isfinite(t.${name(policy.clock.column)}) then ${utc(`(${instantOf(policy)} + (${asOf} - ${cutoff}))`)} end as expires_at,
      ${leg.kind === 'rule' ? 'false' : 'w.unknown'} as unknown
    from ${governed(policy, leg)} ${keyed(policy, key, p)} where ${['true', ...match].join(' and ')}`);
}
