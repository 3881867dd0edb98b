/** An installation with one nightly policy and an order review, played by its own crons with a clock of its own. */
import { vi } from 'vitest';
import { type Called, type Play, play } from '@/lib/dev/bench/idle';
import { type Cron, crons } from '@/lib/policies/crons';
import { defineDataMap } from '@/lib/policies/data-map-contract';
import type { OrderReview } from '@/lib/policies/order-contract';
import type { Services } from '@/lib/services';
import { type Engine, engine, govern } from './engine';
import { OPERATORS } from './operators';
import { REVIEW } from './order-review';

export const START = new Date('2026-03-01T00:00:00Z');
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

export interface IdleWorld extends Engine {
  readonly services: Services;
  /** All crons of it, as they are deployed. */
  readonly crons: readonly Cron[];
  /** Continues where the last call ended; `from` begins anew. */
  play(options: Partial<Play> & { readonly days: number }): Promise<Called[]>;
  incidents(): Promise<string[]>;
  /** Whatever Redis knows of this installation. */
  redis(script: string, ...args: string[]): Promise<unknown>;
}

export async function idleWorld(
  env: Record<string, string> = {},
  review: OrderReview | null = REVIEW,
): Promise<IdleWorld> {
  const e = await engine({ env: { LAPSE_OPERATORS: OPERATORS, ...env } });
  vi.stubEnv('CRON_SECRET', e.services.settings.cronSecret);
  const policy = await govern(e.db, { schedule: { run: '0 2 * * *', resume: '30 2 * * *' } });
  // Nothing of the example but the orders, so that nothing drifts.
  const others = await e.db.sql<{ name: string }>(
    `select format('%I', relname) as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
       and not relispartition and relname not in ('things', 'orders')`,
  );
  await e.db.sql(`drop table ${others.map((t) => t.name).join(', ')} cascade`);
  await e.db.sql('alter table orders drop column user_id, drop column organization_id');
  await e.db.sql('alter table things drop column note');
  const dataMap = defineDataMap({
    'public.things': { policy: 'things' },
    'public.orders': { kept: 'orders of the tests', knownTriggers: ['touch'] },
  });
  const declared = { policies: [policy], orderReview: review ?? undefined };
  let now = START;
  const services: Services = { ...e.services, ...declared, dataMap, clock: () => now };
  const all = crons(declared, 'pro');
  return {
    ...e,
    services,
    crons: all,
    play: async ({ days, from = now, ...options }) => {
      const called = await play({
        crons: all,
        ...options,
        services: () => services,
        from,
        days,
        before: async (at) => {
          now = at;
          await options.before?.(at);
        },
      });
      now = new Date(from.getTime() + days * 24 * HOUR);
      return called;
    },
    incidents: async () =>
      (
        await e.db.sql<{ cause: string }>('select cause from retention.incident order by opened_at, cause')
      ).map((i) => i.cause),
    redis: (script, ...args) => services.redis.eval(script, [`${services.redis.prefix}looks`], args),
  };
}
