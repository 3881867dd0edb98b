/**
 * Legal holds (G1), extensions and overrides: what may not be deleted, or later. Placing one returns only when
 * no older batch can still run. A hold is released by a second person; an extension or override that is taken
 * back keeps counting for the cooling-off (G6).
 */
import { atRoots, rootLabel } from '../engine/statement/leaves';
import { RequestError } from '../platform/errors';
import { tableLabel, typed } from '../platform/sql';
import { type Acting, type Done, decide, decideEach } from './carry-out';
import type { Cover } from './coverage';
import { type Reached, reachItem, reachScope, storedAs } from './reach';
import { type Deciding, demandToShortenExtension, demandToShortenPeriod } from './shortening';
import type { Written } from './subject';
import { allTargets, extensionTargets, itemTargets, tenantTarget } from './targets';

export interface HoldRequest {
  readonly scope: 'organization' | 'user' | 'item';
  readonly subject: Written;
  readonly table?: string | undefined;
  readonly force?: boolean;
  /** When somebody has to look whether it is still needed. */
  readonly reviewAt?: string | undefined;
  /** Of the form that asks: sent again with it, it is refused. */
  readonly once?: string | undefined;
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
export async function placeHold(by: Acting, request: HoldRequest): Promise<Held> {
  const [acting, hold] = await atTable(by, request);
  const { services } = acting;
  const { scope, subject, force = false } = hold;
  if (scope !== 'item' && hold.table !== undefined) {
    throw new RequestError(
      422,
      'unknown_table',
      'an organization or a user is held in every table; leave table out, or hold one row with scope "item"',
      'table',
    );
  }
  const reached =
    scope === 'item'
      ? await reachItem(services, 'subject', subject, itemTargets(services.policies, hold.table), force)
      : await reachScope(services, scope, subject, force);
  const table = scope === 'item' ? hold.table! : null;
  const placed = await decideEach(
    acting,
    'place_hold',
    reached.subjects.map((form) => [
      ...[scope, form, table],
      typed(hold.reviewAt ?? null, 'timestamptz'),
      typed(hold.once ?? null, 'uuid'),
    ]),
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
  const done = await decide(acting, 'release_hold', [typed(id, 'uuid')]);
  if (done) return done;
  throw new RequestError(
    409,
    'not_released',
    'there is no such hold in force, or you placed it yourself: releasing needs a second person',
    'id',
  );
}

/** Keeps a hold that was looked at, until the next look. */
export async function reviewHold(acting: Acting, id: string, reviewAt: string): Promise<Done> {
  const done = await decide(acting, 'review_hold', [typed(id, 'uuid'), typed(reviewAt, 'timestamptz')]);
  if (done) return done;
  throw new RequestError(409, 'not_in_force', 'there is no such hold in force', 'id');
}

export async function setExtension(
  by: Deciding,
  request: { table: string; key: Written; keepUntil: string; force: boolean },
): Promise<Done & { covers: readonly Cover[] }> {
  const [acting, e] = await atTable(by, request);
  const targets = extensionTargets(acting.services.policies, e.table);
  const { subjects, covers } = await reachItem(acting.services, 'key', e.key, targets, e.force);
  await demandToShortenExtension(acting, { ...e, key: subjects[0]! });
  const done = await decide(acting, 'set_extension', [
    e.table,
    subjects[0]!,
    typed(e.keepUntil, 'timestamptz'),
    cooling(acting),
  ]);
  return { ...done!, covers };
}

export async function endExtension(by: Acting, request: { table: string; key: Written }): Promise<Done> {
  const [acting, e] = await atTable(by, request);
  // What is ended may be of a table that no policy governs any more.
  const targets = allTargets(acting.services.policies).filter((t) => tableLabel(t.table) === e.table);
  for (const key of await storedAs(acting.services, 'key', e.key, targets)) {
    const done = await decide(acting, 'end_extension', [e.table, key, cooling(acting)]);
    if (done) return done;
  }
  throw new RequestError(404, 'unknown', 'this row has no extension in force', 'key');
}

export async function setOverride(
  acting: Deciding,
  o: { policy: string; tenant: Written; keepDays: number | null; force: boolean },
): Promise<Done & { covers: readonly Cover[] }> {
  const target = tenantTarget(acting.services.policies, o.policy);
  const { subjects, covers } = await reachItem(acting.services, 'tenant', o.tenant, [target], o.force);
  const seconds = o.keepDays === null ? null : o.keepDays * 86_400;
  await demandToShortenPeriod(acting, { policy: o.policy, tenant: subjects[0]!, seconds });
  const done = await decide(acting, 'set_override', [o.policy, subjects[0]!, typed(seconds, 'bigint')]);
  return { ...done!, covers };
}

export async function removeOverride(
  acting: Acting,
  override: { policy: string; tenant: Written },
): Promise<Done> {
  const known = acting.services.policies.some((q) => q.name === override.policy && q.tenants);
  const targets = known ? [tenantTarget(acting.services.policies, override.policy)] : [];
  for (const tenant of await storedAs(acting.services, 'tenant', override.tenant, targets)) {
    const done = await decide(acting, 'remove_override', [override.policy, tenant]);
    if (done) return done;
  }
  throw new RequestError(404, 'unknown', 'there is no such override', 'tenant');
}

/** A partition's name stands for its table's, in what is asked and in what the policies declare. */
async function atTable<A extends Acting, R extends { table?: string | undefined }>(
  acting: A,
  request: R,
): Promise<[A, R]> {
  if (request.table === undefined) return [acting, request];
  const { database, policies } = acting.services;
  const services = { ...acting.services, policies: await atRoots(database, policies) };
  return [
    { ...acting, services },
    { ...request, table: await rootLabel(database, request.table) },
  ];
}

const cooling = (acting: Acting) => typed(acting.services.settings.guards.coolingOffSeconds, 'float8');
