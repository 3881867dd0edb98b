/**
 * What is known of one row under one policy, judged by the batch's own predicate with the periods that count now, inside
 * READ ONLY transactions. Keys and ids only, no content of the row.
 */
import { z } from 'zod';
import { type AdmissionFacts, admissionFacts } from '../../engine/guard/facts';
import { deadLetteredBy, extendedBy, heldBy, staysBecause } from '../../engine/statement/keeping';
import { type Leg, legsOf } from '../../engine/statement/leg';
import { walkOf } from '../../engine/statement/legs';
import { clockOf } from '../../engine/statement/legs/columns';
import {
  hasInstant,
  instantOf,
  isBefore,
  isPast,
  mayGo,
  source,
  unnoticed,
} from '../../engine/statement/predicate';
import { keptName } from '../../platform/outcome';
import { maybeRow, oneRow, type Query, query, rows } from '../../platform/query';
import { ask } from '../../platform/session';
import {
  anyOf,
  id,
  isKey,
  keysAsRows,
  list,
  literal,
  type Sql,
  sql,
  tableLabels,
  typed,
  united,
  utc,
  withParts,
} from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { withPeriods } from '../../policies/effective';
import { versionOf } from '../../policies/fingerprint';
import { markOf } from '../../policies/going';
import type { Services } from '../../services';

/** A few look-ups by key, and the judging of one row. */
const LIMITS = { statementMs: 10_000, readOnly: true };

/** Whether a reason keeps it, and where another row does, by whose table. */
const By = z
  .string()
  .nullable()
  .transform((name) => (name === null ? null : keptName(name)));

const Judged = z.object({
  label: z.string().nullable(),
  clock: z.string().nullable(),
  stays: By,
  may_go: z.boolean(),
  finite: z.boolean().nullable(),
  past: z.boolean().nullable(),
  meets: z.boolean(),
  unnoticed: z.boolean(),
  expires_at: z.string().nullable(),
  unknown: z.boolean(),
});
type Judged = z.infer<typeof Judged>;

const State = z.object({
  paused_by: z.string().nullable(),
  paused_reason: z.string().nullable(),
  paused_at: z.string().nullable(),
  stopped_by: z.string().nullable(),
  stopped_reason: z.string().nullable(),
  stopped_at: z.string().nullable(),
  last_run: z.string().nullable(),
  last_reason: z.string().nullable(),
  last_at: z.string().nullable(),
  /** Rows without a clock, as last measured. */
  no_clock: z.number().nullable(),
});
type State = z.infer<typeof State>;

const Hold = z.object({
  id: z.string(),
  scope: z.string(),
  reason: z.string(),
  placed_by: z.string(),
  placed_at: z.string(),
});
const Present = z.object({
  clock: z.string().nullable(),
  held: By,
  extended: By,
  dead_letter: By,
  marked: z.string().nullable(),
  organization: z.string().nullable(),
  /** Those on the row, its organization or its user; a hold on what goes with it is not among them. */
  holds: z.array(Hold),
  extension: z.object({ keep_until: z.string(), reason: z.string(), extended_by: z.string() }).nullable(),
  letter: z
    .object({
      state: z.string(),
      sql_state: z.string(),
      constraint_name: z.string().nullable(),
      attempts: z.number(),
      next_attempt_at: z.string(),
    })
    .nullable(),
  erasure: z.object({ id: z.string(), state: z.string(), requested_at: z.string() }).nullable(),
  told_at: z.string().nullable(),
});
type Present = z.infer<typeof Present>;

export interface RowFacts {
  /** As declared. */
  readonly declared: Policy;
  /** With the periods that count now. */
  readonly policy: Policy;
  readonly now: Date;
  readonly admission: AdmissionFacts;
  readonly state: State;
  /** Null: it is not in the table. */
  readonly there: Present | null;
  /** Null: no rule with an end has it. */
  readonly judged: Judged | null;
}

export async function factsOf(services: Services, declared: Policy, key: string): Promise<RowFacts> {
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
  const asOf = now.toISOString();
  const { there, judged } = await ask(
    database,
    { there: presence(policy, key, asOf), judged: judgments(policy, legs, key, asOf) },
    LIMITS,
  );
  return { declared, policy, now, admission, state, there, judged: judged[0] ?? null };
}

const stateOf = (policy: Policy): Query<State> =>
  query(
    sql`select s.*, k.*, r.id as last_run, r.reason as last_reason, ${utc(sql`r.started_at`, 's')} as last_at, q.found as no_clock
      from (select 1) one
      left join (select paused_by, paused_reason, ${utc(sql`paused_at`, 's')} as paused_at from retention.policy_state
        where policy = ${policy.name} and paused) s on true
      left join (select stopped_by, reason as stopped_reason, ${utc(sql`stopped_at`, 's')} as stopped_at from retention.kill_switch
        where stopped) k on true
      left join lateral (select id, reason, started_at from retention.run where policy = ${policy.name} and mode = 'delete'
        and finished_at is not null order by started_at desc limit 1) r on true
      left join lateral (select found from retention.quality where policy = ${policy.name} and measure = 'completeness'
        order by day desc limit 1) q on true`,
    oneRow(State),
  );

const keyed = (policy: Policy, key: string): Sql =>
  sql`join ${keysAsRows(sql`array[${key}]::text[]`, policy.key, policy.table)} on ${isKey('t', policy.key)}`;

const labels = (policy: Policy): Sql => list(...tableLabels(policy.table).map(literal));

const scopeText = (column: string | undefined): Sql =>
  column === undefined ? sql`null::text` : sql`${id('t', column)}::text`;

const HOLD = sql`jsonb_build_object('id', h.id, 'scope', h.scope, 'reason', h.reason, 'placed_by', h.placed_by,
  'placed_at', ${utc(sql`h.placed_at`, 's')})`;

/** One row when the row is there, whatever its rule. */
function presence(policy: Policy, key: string, asOfText: string): Query<Present | null> {
  const asOf = typed(asOfText, 'timestamptz');
  const mark = markOf(policy);
  const [organization, user] = [scopeText(policy.scope.organization), scopeText(policy.scope.user)];
  const theirs = (alias: string) =>
    anyOf(
      sql`(${id(alias, 'scope')} = 'organization' and ${id(alias, 'subject')} = ${organization})`,
      sql`(${id(alias, 'scope')} = 'user' and ${id(alias, 'subject')} = ${user})`,
    );
  const tenant = policy.tenants ? sql`${id('t', policy.tenants.column)}::text` : organization;
  return query(
    sql`select ${utc(instantOf(policy))} as clock, ${heldBy({ policy, held: null })} as held, ${extendedBy(policy, asOf)} as extended,
      ${deadLetteredBy(policy, asOf)} as dead_letter, ${mark === null ? sql`null` : utc(id('t', mark))} as marked,
      ${tenant} as organization,
      coalesce((select jsonb_agg(${HOLD} order by h.placed_at) from retention.hold h where h.released_at is null
        and h.subject in (${organization}, ${user}, ${key}) and (${theirs('h')}
          or (h.scope = 'item' and h.subject = ${key} and h.table_name in (${labels(policy)})))), '[]') as holds,
      (select jsonb_build_object('keep_until', ${utc(sql`e.keep_until`, 's')}, 'reason', e.reason, 'extended_by', e.extended_by)
        from retention.extension e where e.table_name in (${labels(policy)}) and e.row_key = ${key} and e.keep_until > ${asOf} limit 1) as extension,
      (select jsonb_build_object('state', l.state, 'sql_state', l.sql_state, 'constraint_name', l.constraint_name, 'attempts', l.attempts,
          'next_attempt_at', ${utc(sql`l.next_attempt_at`, 's')})
        from retention.dead_letter l where l.table_name in (${labels(policy)}) and l.row_key = ${key} and l.state <> 'resolved'
        order by l.created_at desc limit 1) as letter,
      (select jsonb_build_object('id', e.id, 'state', e.state, 'requested_at', ${utc(sql`e.requested_at`, 's')})
        from retention.erasure e where e.state in ('requested', 'confirmed', 'open') and ${theirs('e')} limit 1) as erasure,
      (select ${utc(sql`max(n.delivered_at)`, 's')} from retention.notice_part n where n.policy = ${policy.name} and n.tenant = ${tenant}
        and n.announced_at is not null and ${isBefore(policy, clockOf(policy), sql`n.before`)}) as told_at
    from ${source(policy)} t ${keyed(policy, key)}`,
    maybeRow(Present),
  );
}

/** One row for each leg that the row belongs to. */
function judgments(policy: Policy, legs: readonly Leg[], key: string, asOf: string): Query<Judged[]> {
  const parts = legs.map((leg) => {
    const w = walkOf(policy, leg, asOf);
    return sql`(${withParts(...w.lead)}select ${w.label} as label, ${utc(instantOf(policy))} as clock,
      coalesce(${mayGo(w)}, false) as may_go, ${staysBecause(w)} as stays,
      ${hasInstant(policy)} as finite, ${isPast(policy, w.cutoff)} as past,
      ${w.condition ? sql`(${w.condition}) is true` : sql`true`} as meets, ${unnoticed(w) ?? sql`false`} as unnoticed,
      case when ${hasInstant(policy)} then ${utc(sql`(${instantOf(policy)} + (${w.asOf} - ${w.cutoff}))`)} end as expires_at,
      ${w.unknown} as unknown
    from ${w.rows} ${keyed(policy, key)} where ${w.own})`;
  });
  return query(united(parts), rows(Judged));
}
