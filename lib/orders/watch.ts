/**
 * P9: warns, claims what has breached, pays back, escalates. Everything it decides is in the database before
 * anyone outside hears of it, so a watch that dies anywhere is finished by the next one, and two at once share
 * the work. A dry run counts and changes nothing.
 */
import type { Logger } from 'pino';
import { reportIncidents, type Symptom } from '../platform/alerts/incidents';
import type { JobRequest, JobResult } from '../platform/job';
import { ask, askOne } from '../platform/session';
import type { OrderReview } from '../policies/order-contract';
import { declaredReview } from '../policies/order-review';
import type { Services } from '../services';
import { type Coming, comingQuery, nextOrders } from './next-look';
import { payBack } from './pay-back';
import type { RefundProvider } from './provider';
import { type OrderQueue, queueQuery } from './queue';
import { claimBreached, ONE_CLAIM_AT_A_TIME, takeEarlySteps, takeLateSteps, WATCH } from './sql';
import { stopped as stoppedBy, WHY_STOPPED } from './stop';
import { stripeProvider } from './stripe';

/** One claim holds the others up for some tens of milliseconds. */
const CLAIM = 200;
const STEPS = 1_000;
const LIMITS = { statementMs: 10_000, lockMs: 5_000 };
const READING = { ...LIMITS, readOnly: true };
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

export const watchOrders = (
  services: Services,
  request: JobRequest,
  parts: WatchParts = partsOf(services),
): Promise<WatchResult> => new Watch(services, request, parts).execute();

class Watch {
  readonly #log: Logger;
  readonly #counts = { claimed: 0, toManual: 0, refunded: 0, submitted: 0, unsettled: 0 };
  readonly #steps: Record<string, number> = {};
  readonly #escalated: Symptom[] = [];

  constructor(
    private readonly services: Services,
    private readonly request: JobRequest,
    private readonly parts: WatchParts,
  ) {
    this.#log = services.log.child({ correlation_id: request.correlationId, script: WATCH });
  }

  async execute(): Promise<WatchResult> {
    const { review } = this.parts;
    const { settings, clock } = this.services;
    const looked = clock();
    let stopped: JobResult | null = null;
    if (!this.request.dryRun) {
      await this.#takeSteps(takeEarlySteps(review, settings.orders, clock(), STEPS));
      await this.#claim();
      stopped = (await this.#payBack()) ?? (await this.#whyStopped());
      await this.#takeSteps(takeLateSteps(review, settings.orders, clock(), STEPS));
    }
    const found = await ask(
      this.services.database,
      {
        queue: queueQuery(review, settings.orders, clock()),
        coming: comingQuery(review, settings.orders, looked),
      },
      READING,
    );
    const result = await this.#conclude(found.queue, stopped);
    return { ...result, ...this.#nextLook(found, looked) };
  }

  readonly #inTime = (): boolean =>
    this.request.deadline.getTime() - this.services.clock().getTime() > CLOSING_MS;

  async #claim(): Promise<void> {
    const { review, provider } = this.parts;
    while (this.#inTime()) {
      const claim = {
        now: this.services.clock(),
        requestedBy: WATCH,
        reason: 'review took too long',
        canRefund: provider !== undefined,
      };
      const { claimed } = await ask(
        this.services.database,
        {
          alone: ONE_CLAIM_AT_A_TIME,
          claimed: claimBreached(review, this.services.settings.orders, claim, CLAIM),
        },
        LIMITS,
      );
      const orders = claimed.length;
      this.#counts.claimed += orders;
      this.#counts.toManual += claimed.filter((c) => c.state === 'manual').length;
      if (orders > 0) this.#log.warn({ event: 'order.breached', orders }, `${orders} orders breached`);
      if (orders < CLAIM) return;
    }
  }

  async #payBack(): Promise<JobResult | null> {
    const { review, provider } = this.parts;
    if (!provider) return null;
    const { settings, clock } = this.services;
    return payBack({
      review,
      provider,
      settings: settings.orders,
      clock,
      inTime: this.#inTime,
      ask: (query) => askOne(this.services.database, query, LIMITS),
      settled: (state) => this.#settled(state),
    });
  }

  #settled(state: string): void {
    if (state === 'succeeded') this.#counts.refunded += 1;
    else if (state === 'submitted') this.#counts.submitted += 1;
    else if (state === 'manual') this.#counts.toManual += 1;
    else this.#counts.unsettled += 1;
  }

  async #whyStopped(): Promise<JobResult | null> {
    const why = await askOne(this.services.database, WHY_STOPPED, READING);
    return why === null ? null : stoppedBy(why);
  }

  async #takeSteps(due: ReturnType<typeof takeEarlySteps>): Promise<void> {
    const { review } = this.parts;
    for (const { step, taken } of Object.values(await ask(this.services.database, due, LIMITS))) {
      if (taken === 0) continue;
      this.#steps[step] = taken;
      const tell = review.steps.find((s) => s.name === step)?.tell ?? [];
      const message = `${taken} orders reached the step ${step}: for ${tell.join(' and ')}. See GET /api/orders`;
      this.#log.warn({ event: 'order.escalated', step, orders: taken, tell }, message);
      this.#escalated.push({
        cause: stepCause(step),
        severity: step === review.steps[0]?.name ? 'warning' : 'critical',
        message,
        again: true,
      });
    }
  }

  /** What was counted or could not be done to its end is looked at again by the next call. */
  #nextLook(
    { queue, coming }: { queue: OrderQueue; coming: Coming },
    looked: Date,
  ): Pick<JobResult, 'nextLook'> {
    const isBusy = this.#counts.unsettled > 0 || Object.values(this.#steps).some((n) => n >= STEPS);
    if (this.request.dryRun || isBusy || !this.#inTime()) return {};
    const nextLook = nextOrders(coming, queue, {
      looked,
      review: this.parts.review,
      settings: this.services.settings.orders,
    });
    return nextLook === undefined ? {} : { nextLook };
  }

  async #conclude(queue: OrderQueue, stopped: JobResult | null): Promise<WatchResult> {
    const log = this.#log;
    if (queue.withoutStart > 0) {
      log.warn(
        { event: 'order.without_start', orders: queue.withoutStart },
        `${queue.withoutStart} orders in review have no start, so none of them ever breaches: GET /api/orders?list=without-start`,
      );
    }
    if (!this.request.dryRun) {
      const over = overSteps(this.parts.review, queue, this.#escalated);
      await reportIncidents({ ...this.services, log }, { wrong: this.#escalated, over });
    }
    const { claimed, refunded, submitted, toManual } = this.#counts;
    const summary = `${claimed} breached, ${refunded} paid back, ${submitted} to be confirmed, ${toManual} for a person`;
    const message = this.request.dryRun
      ? `[DRY RUN] ${queue.breached} would be paid back, ${queue.warning} would be warned about`
      : summary;
    const ended = stopped ?? { outcome: 'succeeded' as const, reason: null, message };
    const result = { ...ended, ...this.#counts, steps: this.#steps, queue };
    log.info({ event: 'orders.watched', outcome: result.outcome, ...this.#counts, queue }, summary);
    return result;
  }
}

const stepCause = (step: string): string => `order.escalated:${step}`;

/** Steps that need no action any more: their incidents are over. */
function overSteps(review: OrderReview, queue: OrderQueue, taken: readonly Symptom[]): string[] {
  const behind = queue.breached + queue.manual + queue.refunding;
  return review.steps
    .filter((s) => (s.at === 'warning' ? queue.warning + behind : behind) === 0)
    .map((s) => stepCause(s.name))
    .filter((cause) => !taken.some((t) => t.cause === cause));
}
