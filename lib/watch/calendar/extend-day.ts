/**
 * Keeps what the calendar shows of one organization on one day: the rows that the last run of that day would take and an earlier
 * one would not. Each becomes an extension with an entry of its own, all or none; looked at again when it is decided, so that
 * it is refused when those are other rows by then.
 */
import { createHash } from 'node:crypto';
import { atRoots } from '../../engine/statement/leaves';
import { keysComingUp, onlyTenant } from '../../engine/statement/spans';
import { type Acting, type Done, decide } from '../../operators/carry-out';
import { RequestError } from '../../platform/errors';
import { askEach } from '../../platform/session';
import { sql, tableLabel, typed } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Services } from '../../services';
import { momentsOf, RANGE_CAP } from './calendar';
import { runsAhead } from './days';

/** As far as the calendar shows. */
const DAYS = 92;
/** Each row gets an entry of the audit chain, in one transaction of about a second, which batches wait for. */
const MOST_EXTENDED = 2_000;
const LIMITS = { statementMs: 10_000, readOnly: true, indexesOnly: true };

export interface DayOf {
  readonly policy: string;
  readonly organization: string;
  /** YYYY-MM-DD in UTC. */
  readonly day: string;
}

export interface ComingDay {
  readonly policy: Policy;
  readonly at: Date;
  readonly keys: readonly string[];
  /** There are more than can be kept at once. */
  readonly more: boolean;
  /** Of the keys: what a decision is bound to. */
  readonly digest: string;
}

/** Throws RequestError where no run of the policy falls on that day, or nobody could say whose its rows are. */
export async function comingDay(
  services: Services,
  { policy: name, organization, day }: DayOf,
): Promise<ComingDay> {
  const declared = services.policies.find((p) => p.name === name);
  if (!declared) throw new RequestError(404, 'unknown_policy', `no policy is called ${name}`, 'policy');
  const [policy = declared] = await atRoots(services.database, [declared]);
  if (!policy.tenants && policy.scope.organization === undefined) {
    throw new RequestError(422, 'no_tenants', `policy "${name}" does not tell organizations apart`, 'policy');
  }
  const runs = runsAhead(policy, services.clock(), DAYS);
  const n = runs.findIndex((at) => at.toISOString().startsWith(day));
  const at = runs[n];
  if (at === undefined) {
    throw new RequestError(
      422,
      'no_run',
      `no run of "${name}" is ahead on ${day}, within ${DAYS} days`,
      'day',
    );
  }
  const found = await keysOn(services, policy, n === 0 ? [at] : [runs[n - 1]!, at], organization);
  const keys = [...new Set(found.map((row) => row.key))];
  return {
    policy,
    at,
    keys,
    more: keys.length > MOST_EXTENDED || found.some((row) => row.more),
    digest: createHash('sha256')
      .update(JSON.stringify([day, ...keys]))
      .digest('hex'),
  };
}

/** `runs`: the run before, where there is one ahead, and the run of the day. */
async function keysOn(services: Services, policy: Policy, runs: readonly Date[], organization: string) {
  const only = policy.tenants ? { from: onlyTenant(organization), tenants: 1 } : {};
  const legs = await momentsOf(services, policy, runs);
  const spans = legs.flatMap((moments) => {
    const at = moments.at(-1);
    const before = moments.length > 1 ? (moments[0] ?? null) : null;
    return at ? [keysComingUp({ before, at, most: RANGE_CAP, ...only }, organization)] : [];
  });
  return (await askEach(services.database, spans, LIMITS)).flat();
}

/** `digest`: of the rows that were looked at. Returns the first entry, and how many rows are kept. */
export async function extendDay(
  acting: Acting,
  request: DayOf & { readonly keepUntil: string; readonly digest: string },
): Promise<Done & { readonly kept: number }> {
  const { services } = acting;
  const { policy, at, keys, more, digest } = await comingDay(services, request);
  // An extension that one of them has ends by then: a later day cannot end it earlier.
  if (new Date(request.keepUntil) <= at) {
    const message = 'keepUntil must be after the day on which these rows are due; nothing was changed';
    throw new RequestError(422, 'not_longer', message, 'keepUntil');
  }
  if (more) {
    const most = MOST_EXTENDED.toLocaleString('en-US');
    throw new RequestError(
      409,
      'too_many',
      `more than ${most} rows are due that day: give the organization a longer period instead (override.set)`,
      'day',
    );
  }
  if (digest !== request.digest) {
    throw new RequestError(
      409,
      'changed',
      `other rows are due that day now (${keys.length}): look again; nothing was changed`,
    );
  }
  const cooling = typed(services.settings.guards.coolingOffSeconds, 'float8');
  const items = sql`array(select jsonb_array_elements_text(${JSON.stringify(keys)}::jsonb))`;
  const done = await decide(acting, 'set_extensions', [
    tableLabel(policy.table),
    items,
    typed(request.keepUntil, 'timestamptz'),
    cooling,
  ]);
  if (done) return { ...done, kept: keys.length };
  throw new RequestError(409, 'nothing_due', 'nothing of this organization is due that day', 'day');
}
