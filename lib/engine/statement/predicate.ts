/**
 * What decides whether a row may go, written once and used by the batch, the dry run and the proof of being
 * drained. Everything here is judged under the row's lock and, by PostgreSQL, again on any newer version.
 * Holds, extensions and dead letters are looked up per row only when there are any at all: the guarding
 * `select exists` runs once a statement, and the gate (7001, 0) keeps its answer true until commit.
 */

import type { TableName } from '../../platform/sql';
import { keyText, name, type Parameters, table, tableLabels, text } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { goingDependants } from '../../policies/going';
import { belongs } from './files';
import type { Leg } from './leg';

type Scope = { organization?: string | undefined; user?: string | undefined };

/**
 * An instant as the clock's column would hold it, so that the index answers (DELETION §4). Without a zone the same
 * time may mean two hours: a row counts as older only if it is under both.
 */
export function inClock(policy: Policy, instant: string): string {
  const clock = policy.clock;
  if (clock.type === 'timestamptz') return instant;
  const local = `retention.local_time(${instant}, ${text(clock.zone)})`;
  return clock.type === 'date' ? `${local}::date` : local;
}

/** The clock before an instant, compared in the column's own type. */
export const before = (policy: Policy, alias: string, cutoff: string): string =>
  `${alias}.${name(policy.clock.column)} < ${inClock(policy, cutoff)}`;

/** Literals for `table_name in (…)`. */
const labels = (t: TableName): string => tableLabels(t).map(text).join(', ');

/** A legal hold on the row itself, by organisation, user or item. */
function heldRow(alias: string, scope: Scope, of: TableName, key: string): string {
  const inForce = (s: string, subject: string, more = '') =>
    `exists (select 1 from retention.hold h where h.released_at is null and h.scope = '${s}' and h.subject = ${subject}${more})`;
  return [
    scope.organization && inForce('organization', `${alias}.${name(scope.organization)}::text`),
    scope.user && inForce('user', `${alias}.${name(scope.user)}::text`),
    inForce('item', key, ` and h.table_name in (${labels(of)})`),
  ]
    .filter(Boolean)
    .join(' or ');
}

/** G1: a hold on the row or on anything that would go with it. */
export function held(policy: Policy): string {
  const own = heldRow('t', policy.scope, policy.table, keyText('t', policy.key));
  const theirs = goingDependants(policy).map(
    (d) =>
      `exists (select 1 from ${table(d.table)} d where ${belongs(d, policy)} and (${heldRow('d', d.scope, d.table, keyText('d', d.key))}))`,
  );
  const any = '(select exists (select 1 from retention.hold where released_at is null))';
  return `(case when ${any} then ${[own, ...theirs].join(' or ')} else false end)`;
}

export function extended(policy: Policy, asOf: string): string {
  const named = `table_name in (${labels(policy.table)})`;
  return `(case when (select exists (select 1 from retention.extension where ${named} and keep_until > ${asOf}))
      then exists (select 1 from retention.extension e where e.${named} and e.row_key = ${keyText('t', policy.key)} and e.keep_until > ${asOf})
      else false end)`;
}

/** A row that failed waits for its own next attempt; a discarded one stays for good. */
export function deadLettered(policy: Policy, asOf: string): string {
  const named = `table_name in (${labels(policy.table)})`;
  const waiting = `(state = 'discarded' or (state = 'open' and next_attempt_at > ${asOf}))`;
  return `(case when (select exists (select 1 from retention.dead_letter where ${named} and ${waiting}))
      then exists (select 1 from retention.dead_letter where ${named} and row_key = ${keyText('t', policy.key)} and ${waiting})
      else false end)`;
}

/** A declared dependant that keeps the row here. */
function referenced(policy: Policy): string {
  const blocks = policy.dependants
    .filter((d) => d.fate === 'block')
    .map((d) => `exists (select 1 from ${table(d.table)} d where ${belongs(d, policy)})`);
  return blocks.length > 0 ? `(${blocks.join(' or ')})` : 'false';
}

/**
 * The policy's own judgement: past the cutoff of its rule, its `match` and its `where` true, not already
 * soft-deleted. With tenants the row's cutoff is `w.cutoff` of the joined relation `tenants w`.
 */
export function expired(policy: Policy, leg: Leg, p: Parameters): string {
  return [past(policy, leg, p), ...condition(policy, leg)].join(' and ');
}

/** The policy's `where`; age, tier, `where` and an earlier soft deletion mean nothing to an erasure. */
const condition = (policy: Policy, leg: Leg): string[] =>
  policy.where && leg.kind !== 'subject' ? [`(${policy.where})`] : [];

/** All of the policy's own judgement but its `where`. */
function past(policy: Policy, leg: Leg, p: Parameters): string {
  if (leg.kind === 'subject') return ofSubject(leg, p);
  const parts: string[] = [];
  if (leg.kind === 'rule') {
    for (const [column, value] of Object.entries(leg.rule.match)) {
      parts.push(`t.${name(column)} = ${p.add(value)}`);
    }
    parts.push(before(policy, 't', p.add(leg.cutoff, 'timestamptz')));
  } else {
    parts.push(before(policy, 't', 'w.cutoff'));
  }
  parts.push(`isfinite(t.${name(policy.clock.column)})`);
  if (policy.strategy.kind === 'soft-delete') parts.push(`t.${name(policy.strategy.column)} is null`);
  return parts.join(' and ');
}

/** Compared in the column's own type: the parameter takes it from there. */
export const ofSubject = (leg: Leg & { kind: 'subject' }, p: Parameters): string =>
  `t.${name(leg.column)} = ${p.add(leg.subject)}`;

/** The whole predicate. `asOf` is a typed parameter already placed in the statement. */
export function mayGo(policy: Policy, leg: Leg, asOf: string, p: Parameters): string {
  return [
    expired(policy, leg, p),
    `not ${held(policy)}`,
    ...(leg.kind === 'subject' ? [] : [`not ${extended(policy, asOf)}`]),
    `not ${deadLettered(policy, asOf)}`,
    `not ${referenced(policy)}`,
  ].join('\n      and ');
}

/** Why a row that was picked stays: one of KEPT_REASONS, the weightiest first. Null when it may go. */
export function staysBecause(policy: Policy, leg: Leg, asOf: string, p: Parameters): string {
  return `case when ${held(policy)} then 'held' when ${leg.kind === 'subject' ? 'false' : extended(policy, asOf)} then 'extended'
        when ${deadLettered(policy, asOf)} then 'dead_letter' when ${referenced(policy)} then 'referenced'
        when (${past(policy, leg, p)}) is not true then 'not_expired'${condition(policy, leg)
          .map((where) => ` when ${where} is not true then 'condition'`)
          .join('')} end`;
}

/** What rows are read from; of a partitioned table all partitions, so never by their place. */
export const source = (policy: Policy): string =>
  policy.partitioned ? table(policy.table) : `only ${table(policy.table)}`;

/** The relation `t`, joined to its tenant's cutoff where the leg has tenants. */
export function governed(policy: Policy, leg: Leg): string {
  const t = `${source(policy)} t`;
  return leg.kind !== 'tenants' ? t : `${t} join tenants w on w.tenant = t.${name(policy.tenants!.column)}`;
}
