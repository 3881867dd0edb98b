/** A policy's rules as sentences, from the declaration itself: for the status page and the documents. */
import type { Period, Policy } from './contract';

const HOUR = 3_600;
const DAY = 86_400;

/** `30 days`, `2,555 days (7 years)`, `24 hours`, `forever`. */
export function periodInWords({ seconds }: Period): string {
  if (seconds === null) return 'forever';
  const days = seconds / DAY;
  if (days <= 1 || !Number.isInteger(days)) {
    const hours = seconds / HOUR;
    return Number.isInteger(hours) ? count(hours, 'hour') : count(Math.round(seconds / 60), 'minute');
  }
  return days % 365 === 0 ? `${count(days, 'day')} (${count(days / 365, 'year')})` : count(days, 'day');
}

const count = (n: number, unit: string): string =>
  `${n.toLocaleString('en-US')} ${unit}${n === 1 ? '' : 's'}`;

/** One entry a rule, e.g. `failed: after 7 days`. */
export function inWords(policy: Policy): string[] {
  const verb = policy.strategy.kind === 'soft-delete' ? ' (marked first, purged later)' : '';
  return policy.rules.map(({ label, keepFor }) =>
    keepFor.seconds === null
      ? `${label}: kept forever${verb}`
      : `${label}: after ${periodInWords(keepFor)}${verb}`,
  );
}
