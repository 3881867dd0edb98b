/** Every policy, each followed by those that are derived from it: its purge, and what goes without consent. */
import { consentOf } from './consent';
import type { Policy } from './contract';
import { purgeOf } from './purge';

export const withDerived = (policies: readonly Policy[]): Policy[] =>
  policies.flatMap((p) => [p, ...[purgeOf(p), consentOf(p)].filter((derived) => derived !== null)]);
