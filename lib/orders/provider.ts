/**
 * What a payment provider must be able to do, and how its failures are told apart. One implementation:
 * lib/orders/stripe.ts. A failure's message never holds what the provider wrote: it may name people.
 */
import { LapseError } from '../platform/errors';

interface RefundOrder {
  /** Found again by it, whatever becomes of the idempotency key. */
  readonly intent: string;
  readonly payment: string;
  readonly amount: number;
  readonly idempotencyKey: string;
}

export interface Refund {
  readonly id: string;
  /** `pending`: the provider has it and will confirm or fail it later. */
  readonly state: 'pending' | 'succeeded' | 'failed';
  readonly amount: number;
  /** The intent it was made for; null when someone made it elsewhere. */
  readonly intent: string | null;
}

/** What was really paid. */
export interface Payment {
  /** Received, in the smallest unit. */
  readonly amount: number;
  /** ISO 4217, lower case. */
  readonly currency: string;
}

export interface RefundProvider {
  payment(id: string): Promise<Payment>;
  /** Throws ProviderError. */
  create(order: RefundOrder): Promise<Refund>;
  retrieve(refundId: string): Promise<Refund>;
  /** Every refund of a payment. */
  ofPayment(payment: string): Promise<Refund[]>;
}

/**
 * `unknown` the answer was lost, it may have happened; `spent` the provider has ended this idempotency key with an
 * error of its own and will repeat it for as long as it remembers the key; `transient` it did not begin, ask again; `refused` this
 * refund will never be made; `fatal` no refund can be made (key, account).
 */
export type ProviderFailure = 'unknown' | 'spent' | 'transient' | 'refused' | 'fatal';

export class ProviderError extends LapseError {
  constructor(
    readonly failure: ProviderFailure,
    /** The provider's own short code, e.g. `charge_disputed`. */
    readonly reason: string,
  ) {
    super(`refund.${failure}`, `the payment provider did not refund: ${reason}`);
  }
}
