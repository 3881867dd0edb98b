/**
 * P9: warns, claims what has breached, pays back, escalates. Everything it decides is in the database before
 * anyone outside hears of it, so a watch that dies anywhere is finished by the next one, and two at once share
 * the work. A dry run counts and changes nothing.
 */
import { report, type Symptom } from '../alerts/incidents';
import { answerTimeoutMs, session } from '../batch/session';
import type { Row, Statement } from '../database';
import type { JobOrder, JobResult } from '../http/job-route';
import type { Services } from '../services';
import type { OrderReview } from './contract';
import { declaredReview } from './order-review';
import { payBack } from './pay-back';
import type { RefundProvider } from './provider';
import { type OrderQueue, queueStatement, readQueue } from './queue';
import { claim, oneClaimAtATime, takeEarlySteps, takeLateSteps, WATCH } from './sql';
import { isStop, stopped as stoppedBy, whetherStopped } from './stop';
import { stripeProvider } from './stripe';

/** One claim holds the others up for some tens of milliseconds. */
const CLAIM = 200;
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
  const settled = (state: string) => {
    if (state === 'succeeded') counts.refunded += 1;
    else if (state === 'submitted') counts.submitted += 1;
    else if (state === 'manual') counts.toManual += 1;
    else counts.unsettled += 1;
  };
  const whyStopped = async (): Promise<JobResult | null> => {
    const [[row] = []] = await ask([whetherStopped], true);
    const why = (row?.why ?? null) as string | null;
    return isStop(why) ? stoppedBy(why) : null;
  };

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
    if (!provider) stopped = await whyStopped();
    else
      stopped =
        (await payBack({ review, provider, settings: settings.orders, clock, inTime, ask, settled })) ??
        (await whyStopped());
    tookSteps(await ask(takeLateSteps(review, settings.orders, clock(), STEPS)));
  }

  const [rows = []] = await ask([queueStatement(review, settings.orders, clock())], true);
  const queue = readQueue(rows);
  if (queue.withoutStart > 0) {
    log.warn(
      { event: 'order.without_start', orders: queue.withoutStart },
      `${queue.withoutStart} orders in review have no start, so none of them ever breaches: GET /api/orders?list=without-start`,
    );
  }
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
