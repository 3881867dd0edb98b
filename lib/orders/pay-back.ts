/**
 * Pays back what is due, leased page by leased page, until nothing is, time is up, the provider refuses the account,
 * or everything is stopped: a stop is looked at when intents are leased and again before each request for money.
 */
import { randomUUID } from 'node:crypto';
import pMap from 'p-map';
import type { JobResult } from '../platform/job';
import type { Query } from '../platform/query';
import type { OrderSettings } from '../platform/settings/orders';
import type { OrderReview } from '../policies/order-contract';
import {
  confirmationOf,
  type Ending,
  type Intent,
  LEASE_MS,
  leaseIntents,
  mayRefund,
  settleIntents,
} from './intents';
import { ProviderError, type RefundProvider } from './provider';
import { attemptRefund } from './refund';
import { isStop, stopped } from './stop';

/** Stripe allows 100 requests a second; three each, at a tenth of a second an answer. */
const AT_ONCE = 8;
/** Settled together: the answers of two seconds at most are asked again if this request is lost. */
const LEASED = 40;

export interface PayBack {
  readonly review: OrderReview;
  readonly provider: RefundProvider;
  readonly settings: OrderSettings;
  readonly clock: () => Date;
  readonly inTime: () => boolean;
  readonly ask: <T>(query: Query<T>) => Promise<T>;
  /** The state of each intent that was settled. */
  readonly settled: (state: string) => void;
}

/** Null when nothing is left to do; else why it ended before. */
export async function payBack(request: PayBack): Promise<JobResult | null> {
  while (request.inTime()) {
    const lease = { token: randomUUID(), now: request.clock(), most: LEASED };
    const intents = await request.ask(leaseIntents(request.review, request.settings.caps, lease));
    if (intents.length === 0) return null;
    const { endings, fatal } = await attemptAll(request, intents, lease);
    // What is not settled here keeps its lease for a minute, and is then looked up before it is asked again.
    const settled = await request.ask(settleIntents(request.review, lease.token, request.clock(), endings));
    for (const { state } of settled) request.settled(state);
    if (fatal instanceof ProviderError) {
      const message = `no refund can be made (${fatal.reason}): check STRIPE_SECRET_KEY and the account; nothing is lost, the next watch continues`;
      return { outcome: 'errored', reason: 'provider', message };
    }
    if (fatal) throw fatal;
    const why = endings.map((e) => e.error_class).find(isStop);
    if (why) return stopped(why);
  }
  return { outcome: 'interrupted', reason: 'time', message: 'the next watch continues' };
}

async function attemptAll(request: PayBack, intents: readonly Intent[], lease: { token: string; now: Date }) {
  const leaseEnds = new Date(lease.now.getTime() + LEASE_MS / 2);
  let fatal: unknown = null;
  const mayAsk = async (intent: string): Promise<string | null> =>
    (await request.ask(mayRefund(intent, lease.token))).why_not;
  const attempt = async (intent: Intent): Promise<Ending | null> => {
    if (fatal) return null;
    try {
      return await attemptRefund(
        {
          provider: request.provider,
          clock: request.clock,
          leaseEnds,
          mayAsk,
          agreed: isAgreed(request, intent),
        },
        intent,
      );
    } catch (error) {
      fatal = error;
      return null;
    }
  };
  const endings = await pMap(intents, attempt, { concurrency: AT_ONCE });
  return { endings: endings.filter((e) => e !== null), fatal };
}

/** A second operator agreed to exactly this. */
const isAgreed = ({ settings }: PayBack, i: Intent): boolean =>
  settings.stripeKey !== undefined &&
  i.confirmed_by !== null &&
  i.confirmation === confirmationOf(settings.stripeKey, i, i.confirmed_by);
