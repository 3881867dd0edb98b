/** The row leaves its table for good, with the files and dependants that are declared to go. */
import { z } from 'zod';
import type { Strategy } from './strategy';

export const Delete = z.object({ kind: z.literal('delete') });
type Delete = z.infer<typeof Delete>;

export const deleteRow = (declared: Delete): Strategy<Delete> => ({
  stays: null,
  reach: declared.kind,
  action: 'delete',
  grace: null,
  archive: null,
  words: {
    noun: 'a deletion',
    behindRule: '',
    end: 'deleted',
    happens: (how) => `is deleted for good, ${how}`,
  },
  periods: [],
  withPeriods: () => declared,
  configured: () => declared,
  problems: () => [],
  unfit: () => [],
});
