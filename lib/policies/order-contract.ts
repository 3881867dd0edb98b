/**
 * What an order in review is: data, not code. Names the table and columns of the orders, the states Lapse reads
 * and writes, and the escalation steps; checked when the process starts, before any SQL is built from it.
 */
import { z } from 'zod';
import { PolicyError } from '../platform/errors';

const identifier = z
  .string()
  .min(1)
  .max(63)
  .refine((s) => !s.includes('\0'), 'must not hold a NUL');

const Step = z.object({
  name: z.string().regex(/^[a-z][a-z0-9-]*$/, 'must be lower case with dashes'),
  /** Percent of the time allowed; `warning` and `breach` follow the settings. */
  at: z.union([z.enum(['warning', 'breach']), z.int().min(1).max(1000)]),
  /** Who is notified: a role or a team, never a person's address. */
  tell: z.array(z.string().regex(/^[a-z][a-z0-9-]*$/)).min(1),
});

export const OrderReviewSchema = z.object({
  table: z.object({ schema: identifier.default('public'), name: identifier }),
  key: z.object({ column: identifier, type: z.enum(['uuid', 'bigint', 'integer', 'text']) }),
  columns: z.object({
    status: identifier,
    /** In the smallest unit of the currency. */
    amount: identifier,
    currency: identifier,
    /** The payment at the provider; an order without one goes to the manual queue. */
    payment: identifier,
    /** timestamptz: when the review began. NULL never breaches: counted, logged and listed as `without-start`. */
    reviewStartedAt: identifier,
    /** timestamptz: a later deadline, when someone extended the review. */
    reviewExtendedUntil: identifier,
    resolvedAt: identifier,
    refundedAt: identifier,
    refundId: identifier,
  }),
  states: z.object({
    inReview: z.string().min(1),
    refunding: z.string().min(1),
    refunded: z.string().min(1),
    /** Waits for a person: the provider or a cap refused the refund. */
    manual: z.string().min(1),
    /** What a person may resolve a review to. */
    decisions: z.array(z.string().min(1)).min(1),
  }),
  steps: z.array(Step).min(1),
});
export type OrderReview = z.output<typeof OrderReviewSchema>;
export type OrderReviewInput = z.input<typeof OrderReviewSchema>;
export type EscalationStep = OrderReview['steps'][number];

/** Throws PolicyError with every problem. */
export function defineOrderReview(input: OrderReviewInput): OrderReview {
  const parsed = OrderReviewSchema.safeParse(input);
  if (!parsed.success) {
    throw new PolicyError(
      'order-review-sla',
      parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`),
    );
  }
  const { states, steps, columns } = parsed.data;
  const all = [states.inReview, states.refunding, states.refunded, states.manual, ...states.decisions];
  const problems: string[] = [];
  if (new Set(all).size < all.length) problems.push('states: no two may be the same');
  if (new Set(steps.map((s) => s.name)).size < steps.length)
    problems.push('steps: two steps have the same name');
  if (!steps.some((s) => s.at === 'breach')) problems.push('steps: someone must be notified at the breach');
  if (new Set(Object.values(columns)).size < Object.keys(columns).length)
    problems.push('columns: one column has two meanings');
  if (problems.length > 0) throw new PolicyError('order-review-sla', problems);
  return parsed.data;
}
