/**
 * One attempt at one intent. The provider is looked at before it is asked: a refund made for this intent is
 * adopted, whatever became of an earlier answer or of its idempotency key; one made elsewhere, a payment of another
 * amount or currency, an order that has changed and an amount above the caps send the order to a person. Only then,
 * and only while nothing is stopped, is a refund asked for, under the stored key.
 */
import { ASKING_MS, type Ending, type Intent, idempotencyKey } from './intents';
import { type Payment, ProviderError, type Refund, type RefundProvider } from './provider';
import { LONGEST_CALL_MS } from './stripe';

/** The next watch but one at the earliest; an hour at most, so that an outage of a night costs an hour after it. */
const FIRST_WAIT_MS = 60_000;
const LONGEST_WAIT_MS = 3_600_000;
/** Stripe confirms most refunds at once; the others take minutes to days. */
const CONFIRM_WAIT_MS = 300_000;
/** After an error the provider keeps repeating: time for what it had begun to show in its lists. */
const SPENT_WAIT_MS = 900_000;

const ALREADY = 'charge_already_refunded';
/** Lists are up to date within seconds; after this many lookups we assume the refund cannot be attributed. */
const LOOKS = 5;

export interface Attempt {
  readonly provider: RefundProvider;
  readonly clock: () => Date;
  /** After this the lease may be another's: nothing is asked for any more. */
  readonly leaseEnds: Date;
  /** Null: the provider may be asked now, for ASKING_MS. Else why not. */
  readonly mayAsk: (intent: string) => Promise<string | null>;
  /** A second operator agreed to this refund. */
  readonly agreed: boolean;
}

/** Throws ProviderError only when it is `fatal`: then no refund can be made at all. */
export async function attemptRefund(attempt: Attempt, intent: Intent): Promise<Ending> {
  const wait = (ms: number) => new Date(attempt.clock().getTime() + ms).toISOString();
  const backoff = Math.min(FIRST_WAIT_MS * 2 ** Math.min(intent.attempts - 1, 10), LONGEST_WAIT_MS);
  const ending = (e: Partial<Ending>): Ending => ({
    id: intent.id,
    state: intent.refund_id === null ? 'pending' : 'submitted',
    refund_id: intent.refund_id,
    refused_because: null,
    error_class: null,
    key_generation: intent.key_generation,
    next_attempt_at: wait(backoff),
    unanswered: false,
    ...e,
  });
  const adopt = (r: Refund): Ending =>
    r.state === 'succeeded'
      ? ending({ state: 'succeeded', refund_id: r.id })
      : r.state === 'failed'
        ? ending({ state: 'manual', refund_id: r.id, refused_because: 'refund_failed' })
        : ending({
            state: 'submitted',
            refund_id: r.id,
            next_attempt_at: wait(Math.max(CONFIRM_WAIT_MS, backoff)),
          });
  let asked = false;
  try {
    if (intent.refund_id !== null) return adopt(await attempt.provider.retrieve(intent.refund_id));
    const standing = (await attempt.provider.ofPayment(intent.payment)).filter((r) => r.state !== 'failed');
    const own = standing.find((r) => r.intent === intent.id);
    if (own) return adopt(own);
    if (standing.length > 0) return ending({ state: 'manual', refused_because: 'refunded_elsewhere' });
    const against = whyNot(intent, await attempt.provider.payment(intent.payment), attempt.agreed);
    if (against) return ending({ state: 'manual', refused_because: against });
    if (attempt.clock().getTime() >= attempt.leaseEnds.getTime())
      return ending({ error_class: 'lease_over' });
    const began = performance.now();
    const stop = await attempt.mayAsk(intent.id);
    if (stop !== null) return ending({ error_class: stop });
    // A process that stood still here would ask after a stop had waited for it and answered.
    if (performance.now() - began > ASKING_MS - LONGEST_CALL_MS) return ending({ error_class: 'too_late' });
    asked = true;
    return adopt(
      await attempt.provider.create({
        intent: intent.id,
        payment: intent.payment,
        amount: intent.amount,
        idempotencyKey: idempotencyKey(intent),
      }),
    );
  } catch (error) {
    if (!(error instanceof ProviderError) || error.failure === 'fatal') throw error;
    return ending(afterFailure(error, intent, { asked, later: wait(SPENT_WAIT_MS) }));
  }
}

/** What the provider's refusal or silence means for the intent. */
function afterFailure(
  error: ProviderError,
  intent: Intent,
  { asked, later }: { asked: boolean; later: string },
): Partial<Ending> {
  switch (error.failure) {
    case 'refused':
      // Made between the look and the request: the next look says by whom.
      return error.reason === ALREADY && intent.attempts <= LOOKS
        ? { error_class: ALREADY }
        : { state: 'manual', refused_because: error.reason };
    case 'spent':
      return {
        error_class: error.reason,
        key_generation: intent.key_generation + 1,
        next_attempt_at: later,
      };
    default:
      return { error_class: error.reason, unanswered: asked && error.failure === 'unknown' };
  }
}

/** What a machine does not decide; null when it may. */
function whyNot(intent: Intent, paid: Payment, agreed: boolean): string | null {
  if (!intent.fits) return 'order_changed';
  if (paid.currency !== intent.currency) return 'other_currency';
  if (paid.amount !== intent.amount) return 'other_amount';
  return agreed ? null : intent.over;
}
