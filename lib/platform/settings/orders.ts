/**
 * Settings of the order review and of the refunds: read and checked with all others, so that a wrong one is named at the
 * start. Without STRIPE_SECRET_KEY orders are watched, and a breach goes to the manual queue.
 */
import { z } from 'zod';
import { isPrivate } from '../transport';

const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,12}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((n) => n >= least && n <= most, `must be a whole number from ${least} to ${most}`);

const LARGEST = 999_999_999_999;

export interface RefundCap {
  readonly one: number;
  readonly day: number;
}

/** Reads `eur:50000/1000000,usd:40000/800000`. */
function readCaps(text: string, context: z.RefinementCtx): Record<string, RefundCap> {
  const caps: Record<string, RefundCap> = {};
  for (const entry of text.split(',').map((e) => e.trim().toLowerCase())) {
    const [, currency, one, day] = /^([a-z]{3}):(\d{1,12})\/(\d{1,12})$/.exec(entry) ?? [];
    const cap = { one: Number(one), day: Number(day) };
    const fits = cap.one >= 1 && cap.one <= cap.day && cap.day <= LARGEST;
    if (entry === '' || !currency || !fits || Object.hasOwn(caps, currency)) {
      context.addIssue({ code: 'custom', message: CAPS });
      return z.NEVER;
    }
    caps[currency] = cap;
  }
  return caps;
}

const CAPS =
  'must be currency:largest-refund/sum-of-a-day in the smallest unit, each currency once, e.g. eur:50000/1000000,usd:40000/800000';

const gone = z
  .undefined({ error: 'is no longer read: set ORDER_REFUND_CAPS=<currency>:<largest>/<day> instead' })
  .optional();

export const orderEnvironment = {
  /** How long a review may take. At most a week: a longer deadline would never be noticed. */
  ORDER_REVIEW_HOURS: whole(1, 168).default(24),
  ORDER_REVIEW_WARNING_PERCENT: whole(1, 99).default(80),
  ORDER_REVIEW_BREACH_PERCENT: whole(2, 100).default(100),
  /** By currency, in its smallest unit: one refund and all of 24 hours. Above them, or in another currency, a person decides. */
  ORDER_REFUND_CAPS: z.string().default('eur:50000/1000000').transform(readCaps),
  /** Caps without a currency are ambiguous: these two stop the start instead of being ignored. */
  ORDER_REFUND_MAX_AMOUNT: gone,
  ORDER_REFUND_DAILY_AMOUNT: gone,
  STRIPE_SECRET_KEY: z
    .string()
    .regex(/^(sk|rk)_(test|live)_[A-Za-z0-9_]{8,}$/, 'must be a secret or restricted key of Stripe')
    .optional(),
  /** Only for a proxy of your own, and for tests. */
  STRIPE_API_BASE: z
    .url('must be a URL')
    .refine(isPrivate, 'must begin with https://: the key is sent to it (http:// only on this machine)')
    .optional(),
};

export interface OrderSettings {
  readonly allowedSeconds: number;
  readonly warningPercent: number;
  readonly breachPercent: number;
  /** By currency, lower case. */
  readonly caps: Readonly<Record<string, RefundCap>>;
  readonly stripeKey: string | undefined;
  readonly stripeBase: string | undefined;
}

const Shape = z.object(orderEnvironment);

/** `problems` are added to those of all settings. */
export function orderSettings(environment: z.output<typeof Shape>): {
  settings: OrderSettings;
  problems: string[];
} {
  const problems =
    environment.ORDER_REVIEW_WARNING_PERCENT >= environment.ORDER_REVIEW_BREACH_PERCENT
      ? ['ORDER_REVIEW_WARNING_PERCENT must be below ORDER_REVIEW_BREACH_PERCENT']
      : [];
  return {
    problems,
    settings: {
      allowedSeconds: environment.ORDER_REVIEW_HOURS * 3_600,
      warningPercent: environment.ORDER_REVIEW_WARNING_PERCENT,
      breachPercent: environment.ORDER_REVIEW_BREACH_PERCENT,
      caps: environment.ORDER_REFUND_CAPS,
      stripeKey: environment.STRIPE_SECRET_KEY,
      stripeBase: environment.STRIPE_API_BASE,
    },
  };
}
