/** A policy's rules as sentences, from the declaration itself: for the status page and the documents. */
import type { Period, Policy } from './contract';

const DAY = 86_400;

function periodInWords(period: Period): string {
  if (period.seconds === null) return 'kept for ever';
  const days = period.seconds / DAY;
  return days > 1 && Number.isInteger(days) ? `after ${days} days` : `after ${period.seconds / 3600} hours`;
}

/** One entry a rule, e.g. `failed: after 7 days`. */
export function inWords(policy: Policy): string[] {
  const verb = policy.strategy.kind === 'soft-delete' ? ' (marked first, purged later)' : '';
  return policy.rules.map((rule) => `${rule.label}: ${periodInWords(rule.keepFor)}${verb}`);
}
