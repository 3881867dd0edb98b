/** A stop of everything and a pause of the order review: then nothing is claimed and no refund is asked for. */
import type { Statement } from '../platform/database';
import type { JobResult } from '../platform/job';

export type Stop = 'stopped' | 'paused';

export const isStop = (why: string | null): why is Stop => why === 'stopped' || why === 'paused';

/** Null while refunds may go. */
export const whetherStopped: Statement = { text: 'select retention.refunds_stopped() as why', params: [] };

export const STOPPED: Readonly<Record<Stop, string>> = {
  stopped: 'everything is stopped: all.resume lets refunds go again',
  paused: 'the order review is paused: policy.resume of order-review-sla lets refunds go again',
};

export const stopped = (why: Stop): JobResult => ({
  outcome: 'skipped',
  reason: why,
  message: `no refund was made: ${STOPPED[why]}`,
});
