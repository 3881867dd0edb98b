/**
 * Rows of other tables that refer to the row and may be later than its own clock: a conversation counts from its last
 * message, an order from its last shipment. The latest of all counts; a row that nothing refers to has its own clock alone.
 */
import { z } from 'zod';
import { identifier } from '../strategies/column';

const where = {
  column: identifier,
  table: z.object({ schema: identifier.default('public'), name: identifier }),
  /** Its columns that refer to the row. */
  references: z.array(identifier).min(1),
  /** The columns of the row that they hold, in the same order; its key unless given. */
  refersTo: z.array(identifier).min(1).optional(),
};

/** Not text: that no index tells which texts are no instant. */
export const Later = z.discriminatedUnion('type', [
  z.object({ type: z.literal('timestamptz'), ...where }),
  z.object({ type: z.enum(['timestamp', 'date']), zone: z.string().default('UTC'), ...where }),
  z.object({
    type: z.literal('epoch'),
    unit: z.enum(['seconds', 'milliseconds']),
    numeric: z.literal(true).optional(),
    ...where,
  }),
]);
export type Later = z.output<typeof Later>;
