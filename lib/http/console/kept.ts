/** What a record says of rows that stay by whose rows, as run records hold it. */
import { z } from 'zod';
import { KEPT_REASONS } from '../../platform/outcome';

export const KeptBelowRecord = z.partialRecord(z.enum(KEPT_REASONS), z.record(z.string(), z.coerce.number()));
