/**
 * Legal holds (G1), extensions and overrides: what may not be deleted, or later. Placing one returns only when
 * no older batch can still run. A hold is released by a second person; an extension or override that is taken
 * back keeps counting for the cooling-off (G6).
 */
import { type Parameters, tableLabel } from '../batch/sql';
import { RequestError } from '../errors';
import { type Acting, carryOut, carryOutEach, type Done } from './carry-out';
import type { Cover } from './coverage';
import { type Reached, reachItem, reachScope, storedAs } from './reach';
import type { Written } from './subject';
import { allTargets, extensionTargets, itemTargets, tenantTarget } from './targets';

export interface HoldRequest {
  readonly scope: 'organization' | 'user' | 'item';
  readonly subject: Written;
  readonly table?: string | undefined;
  readonly force?: boolean;
}

export interface Held extends Done {
  /** One for each way the tables print the subject; each is released by its own id. */
  readonly holds: readonly { id: string; subject: string; entry: number }[];
  /** What the hold keeps now. */
  readonly covers: readonly Cover[];
  /** Policies whose tables name no such subject, so that the hold cannot be seen there. */
  readonly outOfReach: readonly string[];
}

/** Refuses a hold that covers no row now, unless `force` says that its rows are still to come. */
export async function placeHold(acting: Acting, hold: HoldRequest): Promise<Held> {
  const { services } = acting;
  const { scope, subject, force = false } = hold;
  const reached =
    scope === 'item'
      ? await reachItem(services, 'subject', subject, itemTargets(services.policies, hold.table), force)
      : await reachScope(services, scope, subject, force);
  const table = scope === 'item' ? hold.table! : null;
  const placed = await carryOutEach(
    acting,
    'hold.placed',
    reached.subjects.map(
      (form) => (p) =>
        `insert into retention.hold (scope, subject, table_name, reason, placed_by, placed_at)
      values (${p.add(scope)}, ${p.add(form)}, ${p.add(table)}, ${p.add(acting.reason)}, ${p.add(acting.operator)}, clock_timestamp())
      returning id::text, jsonb_build_object('scope', scope, 'subject', subject, 'table', table_name)`,
    ),
  );
  return {
    ...placed[0]!,
    holds: placed.map((d) => ({ id: d.subject, subject: String(d.detail.subject), entry: d.entry })),
    covers: reached.covers,
    outOfReach: scope === 'item' ? [] : outOfReach(acting, reached),
  };
}

const outOfReach = (acting: Acting, reached: Reached): string[] =>
  acting.services.policies.map((q) => q.name).filter((n) => !reached.covers.some((c) => c.policy === n));

export async function releaseHold(acting: Acting, id: string): Promise<Done> {
  const done = await carryOut(
    acting,
    'hold.released',
    (
      p,
    ) => `update retention.hold set released_by = ${p.add(acting.operator)}, released_at = clock_timestamp(),
        release_reason = ${p.add(acting.reason)}
      where id = ${p.add(id, 'uuid')} and released_at is null and placed_by <> ${p.add(acting.operator)}
      returning id::text, jsonb_build_object('scope', scope, 'subject', subject, 'table', table_name, 'placed_by', placed_by)`,
  );
  if (done) return done;
  throw new RequestError(
    409,
    'not_released',
    'there is no such hold in force, or you placed it yourself: releasing needs a second person',
    'id',
  );
}

export async function setExtension(
  acting: Acting,
  e: { table: string; key: Written; keepUntil: string; force: boolean },
): Promise<Done & { covers: readonly Cover[] }> {
  const targets = extensionTargets(acting.services.policies, e.table);
  const { subjects, covers } = await reachItem(acting.services, 'key', e.key, targets, e.force);
  const done = await carryOut(
    acting,
    'extension.set',
    (p) => `insert into retention.extension as x (table_name, row_key, keep_until, reason, extended_by)
      values (${p.add(e.table)}, ${p.add(subjects[0]!)}, ${p.add(e.keepUntil, 'timestamptz')}, ${p.add(acting.reason)}, ${p.add(acting.operator)})
      on conflict (table_name, row_key) do update set reason = excluded.reason, extended_by = excluded.extended_by,
        keep_until = greatest(excluded.keep_until, least(x.keep_until, ${cooledOff(acting, p)}))
      returning table_name || ' ' || row_key, jsonb_build_object('keep_until', keep_until)`,
  );
  return { ...done!, covers };
}

export async function endExtension(acting: Acting, e: { table: string; key: Written }): Promise<Done> {
  // What is ended may be of a table that no policy governs any more.
  const targets = allTargets(acting.services.policies).filter((t) => tableLabel(t.table) === e.table);
  for (const key of await storedAs(acting.services, 'key', e.key, targets)) {
    const done = await carryOut(
      acting,
      'extension.ended',
      (p) => `update retention.extension set keep_until = least(keep_until, ${cooledOff(acting, p)})
      where table_name = ${p.add(e.table)} and row_key = ${p.add(key)} and keep_until > retention.clock()
      returning table_name || ' ' || row_key, jsonb_build_object('keep_until', keep_until)`,
    );
    if (done) return done;
  }
  throw new RequestError(404, 'unknown', 'this row has no extension in force', 'key');
}

export async function setOverride(
  acting: Acting,
  o: { policy: string; tenant: Written; keepDays: number | null; force: boolean },
): Promise<Done & { covers: readonly Cover[] }> {
  const target = tenantTarget(acting.services.policies, o.policy);
  const { subjects, covers } = await reachItem(acting.services, 'tenant', o.tenant, [target], o.force);
  const done = await carryOut(
    acting,
    'override.set',
    (p) => `insert into retention.period_override (policy, tenant, keep_seconds, reason, set_by)
      values (${p.add(o.policy)}, ${p.add(subjects[0]!)}, ${p.add(o.keepDays === null ? null : o.keepDays * 86_400, 'bigint')},
        ${p.add(acting.reason)}, ${p.add(acting.operator)})
      on conflict (policy, tenant) do update set keep_seconds = excluded.keep_seconds, reason = excluded.reason, set_by = excluded.set_by
      returning policy || ' ' || tenant, jsonb_build_object('keep_seconds', keep_seconds)`,
  );
  return { ...done!, covers };
}

export async function removeOverride(acting: Acting, o: { policy: string; tenant: Written }): Promise<Done> {
  const known = acting.services.policies.some((q) => q.name === o.policy && q.tenants);
  const targets = known ? [tenantTarget(acting.services.policies, o.policy)] : [];
  for (const tenant of await storedAs(acting.services, 'tenant', o.tenant, targets)) {
    const done = await carryOut(
      acting,
      'override.removed',
      (
        p,
      ) => `delete from retention.period_override where policy = ${p.add(o.policy)} and tenant = ${p.add(tenant)}
      returning policy || ' ' || tenant, jsonb_build_object('keep_seconds', keep_seconds)`,
    );
    if (done) return done;
  }
  throw new RequestError(404, 'unknown', 'there is no such override', 'tenant');
}

const cooledOff = (acting: Acting, p: Parameters) =>
  `retention.clock() + make_interval(secs => ${p.add(acting.services.settings.guards.coolingOffSeconds, 'float8')})`;
