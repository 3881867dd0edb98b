/**
 * Settings of the order review and of the refunds: read and checked with all others, so that a wrong one names itself at start. Without STRIPE_SECRET_KEY orders are watched, and a breach goes to
 * the manual queue.
 */
import { z } from 'zod';

const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,12}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((n) => n >= least && n <= most, `must be a whole number from ${least} to ${most}`);

export const orderEnvironment = {
  /** How long a review may take: a week at most, a promise nobody hears about is none. */
  ORDER_REVIEW_HOURS: whole(1, 168).default(24),
  ORDER_REVIEW_WARNING_PERCENT: whole(1, 99).default(80),
  ORDER_REVIEW_BREACH_PERCENT: whole(2, 100).default(100),
  /** In the smallest unit of the currency. One refund above it waits for a person. */
  ORDER_REFUND_MAX_AMOUNT: whole(1, 999_999_999_999).default(50_000),
  /** All automatic refunds of 24 hours and one currency; beyond it a breach waits for a person. */
  ORDER_REFUND_DAILY_AMOUNT: whole(1, 999_999_999_999).default(1_000_000),
  STRIPE_SECRET_KEY: z
    .string()
    .regex(/^(sk|rk)_(test|live)_[A-Za-z0-9_]{8,}$/, 'must be a secret or restricted key of Stripe')
    .optional(),
  /** Only for a proxy of your own, and for tests. */
  STRIPE_API_BASE: z.url('must be a URL').optional(),
};

export interface OrderSettings {
  readonly allowedSeconds: number;
  readonly warningPercent: number;
  readonly breachPercent: number;
  readonly maxAmount: number;
  readonly dailyAmount: number;
  readonly stripeKey: string | undefined;
  readonly stripeBase: string | undefined;
}

const Shape = z.object(orderEnvironment);

/** `problems` are added to those of all settings. */
export function orderSettings(e: z.output<typeof Shape>): { settings: OrderSettings; problems: string[] } {
  const problems =
    e.ORDER_REVIEW_WARNING_PERCENT >= e.ORDER_REVIEW_BREACH_PERCENT
      ? ['ORDER_REVIEW_WARNING_PERCENT must be below ORDER_REVIEW_BREACH_PERCENT']
      : e.ORDER_REFUND_MAX_AMOUNT > e.ORDER_REFUND_DAILY_AMOUNT
        ? ['ORDER_REFUND_MAX_AMOUNT must not be above ORDER_REFUND_DAILY_AMOUNT']
        : [];
  return {
    problems,
    settings: {
      allowedSeconds: e.ORDER_REVIEW_HOURS * 3_600,
      warningPercent: e.ORDER_REVIEW_WARNING_PERCENT,
      breachPercent: e.ORDER_REVIEW_BREACH_PERCENT,
      maxAmount: e.ORDER_REFUND_MAX_AMOUNT,
      dailyAmount: e.ORDER_REFUND_DAILY_AMOUNT,
      stripeKey: e.STRIPE_SECRET_KEY,
      stripeBase: e.STRIPE_API_BASE,
    },
  };
}
