/**
 * P9: warns, claims what has breached, pays back, escalates. Everything it decides is in the database before
 * anyone outside hears of it, so a watch that dies anywhere is finished by the next one, and two at once share
 * the work. A dry run counts and changes nothing.
 */
import { randomUUID } from 'node:crypto';
import { report, type Symptom } from '../alerts/incidents';
import { answerTimeoutMs, session } from '../batch/session';
import type { Row, Statement } from '../database';
import type { JobOrder, JobResult } from '../http/job-route';
import type { Services } from '../services';
import type { OrderReview } from './contract';
import { Intents, LEASE_MS, leaseIntents, settleIntents } from './intents';
import { declaredReview } from './order-review';
import { ProviderError, type RefundProvider } from './provider';
import { type OrderQueue, queueStatement, readQueue } from './queue';
import { attemptRefund } from './refund';
import { claim, oneClaimAtATime, takeEarlySteps, takeLateSteps, WATCH } from './sql';
import { stripeProvider } from './stripe';

/** One claim holds the others up for some tens of milliseconds. */
const CLAIM = 200;
/** Stripe allows 100 requests a second; two each, at a tenth of a second an answer. */
const AT_ONCE = 8;
/** Settled together: the answers of two seconds at most are asked again if this request is lost. */
const LEASED = 40;
const STEPS = 1_000;
const STATEMENT_MS = 10_000;
const LOCK_MS = 5_000;
/** Kept back for settling what is in hand. */
const CLOSING_MS = 15_000;

export interface WatchResult extends JobResult {
  readonly claimed: number;
  readonly toManual: number;
  readonly refunded: number;
  readonly submitted: number;
  readonly unsettled: number;
  readonly steps: Record<string, number>;
  readonly queue: OrderQueue;
}

export interface WatchParts {
  readonly review: OrderReview;
  /** Undefined: no key is set, and every breach goes to the manual queue. */
  readonly provider: RefundProvider | undefined;
}

export const partsOf = (s: Services): WatchParts => ({
  review: declaredReview(s.orderReview),
  provider:
    s.settings.orders.stripeKey === undefined
      ? undefined
      : stripeProvider(s.settings.orders.stripeKey, s.settings.orders.stripeBase),
});

export async function watchOrders(
  services: Services,
  order: JobOrder,
  { review, provider }: WatchParts = partsOf(services),
): Promise<WatchResult> {
  const { settings, clock } = services;
  const log = services.log.child({ correlation_id: order.correlationId, script: WATCH });
  const ask = (statements: Statement[], readOnly = false): Promise<Row[][]> =>
    services.database
      .transaction([session(STATEMENT_MS, LOCK_MS), ...statements], {
        timeoutMs: answerTimeoutMs(STATEMENT_MS),
        readOnly,
      })
      .then((all) => all.slice(1));
  const inTime = () => order.deadline.getTime() - clock().getTime() > CLOSING_MS;
  const counts = { claimed: 0, toManual: 0, refunded: 0, submitted: 0, unsettled: 0 };
  const steps: Record<string, number> = {};
  const escalated: Symptom[] = [];
  const tookSteps = (sets: Row[][]) => {
    for (const [row] of sets) {
      const taken = Number(row?.taken ?? 0);
      if (taken === 0) continue;
      steps[String(row?.step)] = taken;
      const tell = review.steps.find((x) => x.name === row?.step)?.tell ?? [];
      const message = `${taken} orders reached the step ${row?.step}: for ${tell.join(' and ')}. See GET /api/orders`;
      log.warn({ event: 'order.escalated', step: row?.step, orders: taken, tell }, message);
      escalated.push({
        cause: stepCause(String(row?.step)),
        severity: row?.step === review.steps[0]?.name ? 'warning' : 'critical',
        message,
        again: true,
      });
    }
  };
  let stopped: JobResult | null = null;

  if (!order.dryRun) {
    tookSteps(await ask(takeEarlySteps(review, settings.orders, clock(), STEPS)));
    while (inTime()) {
      const one = claim(review, settings.orders, {
        now: clock(),
        requestedBy: WATCH,
        reason: 'review took too long',
        canRefund: provider !== undefined,
        most: CLAIM,
      });
      const [, rows = []] = await ask([oneClaimAtATime, one]);
      counts.claimed += rows.length;
      counts.toManual += rows.filter((r) => r.state === 'manual').length;
      if (rows.length > 0)
        log.warn({ event: 'order.breached', orders: rows.length }, `${rows.length} orders breached`);
      if (rows.length < CLAIM) break;
    }
    if (provider) stopped = await payBack(provider);
    tookSteps(await ask(takeLateSteps(review, settings.orders, clock(), STEPS)));
  }

  async function payBack(refunds: RefundProvider): Promise<JobResult | null> {
    while (inTime()) {
      const token = randomUUID();
      const now = clock();
      const [rows = []] = await ask([leaseIntents(token, now, LEASED)]);
      const intents = Intents.parse(rows);
      if (intents.length === 0) return null;
      const leaseEnds = new Date(now.getTime() + LEASE_MS / 2);
      let fatal: unknown = null;
      const endings = await inParallel(intents, AT_ONCE, async (intent) => {
        if (fatal) return null;
        try {
          return await attemptRefund({ provider: refunds, clock, leaseEnds }, intent);
        } catch (error) {
          fatal = error;
          return null;
        }
      });
      // What is not settled here keeps its lease for a minute, and is then looked up before it is asked again.
      const [settled = []] = await ask([
        settleIntents(
          review,
          token,
          clock(),
          endings.filter((e) => e !== null),
        ),
      ]);
      for (const row of settled) {
        if (row.state === 'succeeded') counts.refunded += 1;
        else if (row.state === 'submitted') counts.submitted += 1;
        else if (row.state === 'manual') counts.toManual += 1;
        else counts.unsettled += 1;
      }
      if (fatal instanceof ProviderError) {
        const message = `no refund can be made (${fatal.reason}): check STRIPE_SECRET_KEY and the account; nothing is lost, the next watch goes on`;
        return { outcome: 'errored', reason: 'provider', message };
      }
      if (fatal) throw fatal;
    }
    return { outcome: 'interrupted', reason: 'time', message: 'the next watch goes on' };
  }

  const [rows = []] = await ask([queueStatement(review, settings.orders, clock())], true);
  const queue = readQueue(rows);
  if (!order.dryRun)
    await report({ ...services, log }, { wrong: escalated, over: overSteps(review, queue, escalated) });
  const summary = `${counts.claimed} breached, ${counts.refunded} paid back, ${counts.submitted} to be confirmed, ${counts.toManual} for a person`;
  const result: WatchResult = {
    ...(stopped ?? {
      outcome: 'succeeded',
      reason: null,
      message: order.dryRun
        ? `[DRY RUN] ${queue.breached} would be paid back, ${queue.warning} would be warned about`
        : summary,
    }),
    ...counts,
    steps,
    queue,
  };
  log.info({ event: 'orders.watched', outcome: result.outcome, ...counts, queue }, summary);
  return result;
}

const stepCause = (step: string): string => `order.escalated:${step}`;

/** Steps nobody has to act on any more: their incidents are over. */
function overSteps(review: OrderReview, queue: OrderQueue, taken: readonly Symptom[]): string[] {
  const behind = queue.breached + queue.manual + queue.refunding;
  return review.steps
    .filter((s) => (s.at === 'warning' ? queue.warning + behind : behind) === 0)
    .map((s) => stepCause(s.name))
    .filter((cause) => !taken.some((t) => t.cause === cause));
}

async function inParallel<T, R>(
  items: readonly T[],
  most: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const i = next;
      next += 1;
      results[i] = await work(items[i]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, lane));
  return results;
}
