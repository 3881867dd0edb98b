/** A stop of everything and a pause of the order review: then nothing is claimed and no refund is asked for. */
import { z } from 'zod';
import type { JobResult } from '../platform/job';
import { query } from '../platform/query';
import { sql } from '../platform/sql';

export type Stop = 'stopped' | 'paused';

export const isStop = (why: string | null): why is Stop => why === 'stopped' || why === 'paused';

/** Null while refunds may go. */
export const WHY_STOPPED = query(sql`select retention.refunds_stopped() as why`, (answer) => {
  const { why } = z.object({ why: z.string().nullable() }).parse(answer[0]);
  return isStop(why) ? why : null;
});

export const STOPPED: Readonly<Record<Stop, string>> = {
  stopped: 'everything is stopped: all.resume lets refunds go again',
  paused: 'the order review is paused: policy.resume of order-review-sla lets refunds go again',
};

export const stopped = (why: Stop): JobResult => ({
  outcome: 'skipped',
  reason: why,
  message: `no refund was made: ${STOPPED[why]}`,
});
