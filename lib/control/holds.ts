/**
 * Legal holds (G1), extensions and overrides: what may not be deleted, or later. Placing one returns only when
 * no older batch can still run. A hold is released by a second person; an extension or override that is taken
 * back keeps counting for the cooling-off (G6).
 */
import { type Parameters, tableLabel } from '../batch/sql';
import { RequestError } from '../errors';
import type { Policy } from '../policies/contract';
import { type Acting, carryOut, type Done } from './carry-out';

export interface HoldRequest {
  readonly scope: 'organization' | 'user' | 'item';
  readonly subject: string;
  readonly table?: string | undefined;
}

/** `outOfReach`: policies whose table names no such subject, so that the hold cannot be seen there. */
export async function placeHold(acting: Acting, hold: HoldRequest): Promise<Done & { outOfReach: string[] }> {
  const { policies } = acting.services;
  if (hold.scope === 'item') knownTable(policies, hold.table);
  const done = await carryOut(
    acting,
    'hold.placed',
    (p) => `insert into retention.hold (scope, subject, table_name, reason, placed_by, placed_at)
      values (${p.add(hold.scope)}, ${p.add(hold.subject)}, ${p.add(hold.scope === 'item' ? (hold.table ?? null) : null)},
        ${p.add(acting.reason)}, ${p.add(acting.operator)}, clock_timestamp())
      returning id::text, jsonb_build_object('scope', scope, 'subject', subject, 'table', table_name)`,
  );
  const scope = hold.scope;
  const outOfReach = scope === 'item' ? [] : policies.filter((q) => !reaches(q, scope)).map((q) => q.name);
  return { ...done!, outOfReach };
}

/** Whether a hold of this scope can be seen from the policy's table or what goes with it. */
const reaches = (policy: Policy, scope: 'organization' | 'user'): boolean =>
  [policy.scope, ...policy.dependants.map((d) => d.scope)].some((s) => s[scope] !== undefined);

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
  e: { table: string; key: string; keepUntil: string },
): Promise<Done> {
  knownTable(acting.services.policies, e.table);
  const done = await carryOut(
    acting,
    'extension.set',
    (p) => `insert into retention.extension as x (table_name, row_key, keep_until, reason, extended_by)
      values (${p.add(e.table)}, ${p.add(e.key)}, ${p.add(e.keepUntil, 'timestamptz')}, ${p.add(acting.reason)}, ${p.add(acting.operator)})
      on conflict (table_name, row_key) do update set reason = excluded.reason, extended_by = excluded.extended_by,
        keep_until = greatest(excluded.keep_until, least(x.keep_until, ${cooledOff(acting, p)}))
      returning table_name || ' ' || row_key, jsonb_build_object('keep_until', keep_until)`,
  );
  return done!;
}

export async function endExtension(acting: Acting, e: { table: string; key: string }): Promise<Done> {
  const done = await carryOut(
    acting,
    'extension.ended',
    (p) => `update retention.extension set keep_until = least(keep_until, ${cooledOff(acting, p)})
      where table_name = ${p.add(e.table)} and row_key = ${p.add(e.key)} and keep_until > ${now(acting, p)}
      returning table_name || ' ' || row_key, jsonb_build_object('keep_until', keep_until)`,
  );
  if (done) return done;
  throw new RequestError(404, 'unknown', 'this row has no extension in force', 'key');
}

export async function setOverride(
  acting: Acting,
  o: { policy: string; tenant: string; keepDays: number | null },
): Promise<Done> {
  const policy = acting.services.policies.find((q) => q.name === o.policy);
  if (!policy?.tenants) {
    throw new RequestError(
      422,
      'no_tenants',
      `policy "${o.policy}" does not tell organisations apart`,
      'policy',
    );
  }
  const done = await carryOut(
    acting,
    'override.set',
    (p) => `insert into retention.period_override (policy, tenant, keep_seconds, reason, set_by)
      values (${p.add(o.policy)}, ${p.add(o.tenant)}, ${p.add(o.keepDays === null ? null : o.keepDays * 86_400, 'bigint')},
        ${p.add(acting.reason)}, ${p.add(acting.operator)})
      on conflict (policy, tenant) do update set keep_seconds = excluded.keep_seconds, reason = excluded.reason, set_by = excluded.set_by
      returning policy || ' ' || tenant, jsonb_build_object('keep_seconds', keep_seconds)`,
  );
  return done!;
}

export async function removeOverride(acting: Acting, o: { policy: string; tenant: string }): Promise<Done> {
  const done = await carryOut(
    acting,
    'override.removed',
    (
      p,
    ) => `delete from retention.period_override where policy = ${p.add(o.policy)} and tenant = ${p.add(o.tenant)}
      returning policy || ' ' || tenant, jsonb_build_object('keep_seconds', keep_seconds)`,
  );
  if (done) return done;
  throw new RequestError(404, 'unknown', 'there is no such override', 'tenant');
}

const now = (acting: Acting, p: Parameters) => p.add(acting.services.clock().toISOString(), 'timestamptz');
const cooledOff = (acting: Acting, p: Parameters) =>
  `${now(acting, p)} + make_interval(secs => ${p.add(acting.services.settings.guards.coolingOffSeconds, 'float8')})`;

/** Refuses a name that no policy governs: a hold on it would keep nothing and look as if it did. */
function knownTable(policies: readonly Policy[], name: string | undefined): void {
  const known = policies.flatMap((q) => [q.table, ...q.dependants.map((d) => d.table)]).map(tableLabel);
  if (name !== undefined && known.includes(name)) return;
  const list = [...new Set(known)].sort().join(', ');
  throw new RequestError(422, 'unknown_table', `table must be one of ${list}`, 'table');
}
