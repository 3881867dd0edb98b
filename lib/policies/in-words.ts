/** A policy's rules as sentences, from the declaration itself: for the console and the documents. */
import { clockInWords } from './clocks';
import type { Policy } from './contract';
import { periodInWords } from './period';
import { sparedInWords } from './spared';
import { strategyOf } from './strategies';

export { periodInWords };

/** One entry a rule, e.g. `failed: after 7 days`. */
export function inWords(policy: Policy): string[] {
  const { behindRule } = strategyOf(policy).words;
  const behind = sparedInWords(policy)
    .map((words) => `; ${words}`)
    .join('');
  return policy.rules.map(({ label, keepFor }) => {
    if (keepFor.seconds === null) return `${label}: kept forever${behindRule}`;
    const when =
      keepFor.seconds === 0
        ? `as soon as ${clockInWords(policy.clock)} has come`
        : `after ${periodInWords(keepFor)}`;
    return `${label}: ${when}${behindRule}${behind}`;
  });
}
