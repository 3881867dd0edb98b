/** The walk of a leg: the one place that asks which kind it is. */
import type { Sql } from '../../../platform/sql';
import { typed } from '../../../platform/sql';
import type { Policy } from '../../../policies/contract';
import type { Leg } from '../leg';
import { walkByRule } from './by-rule';
import { walkBySubject } from './by-subject';
import { walkByTenant } from './by-tenant';
import type { Range, Walk } from './walk';

export type { Range, Walk };

export function walkOf(policy: Policy, leg: Leg, asOfText: string): Walk {
  const asOf: Sql = typed(asOfText, 'timestamptz');
  switch (leg.kind) {
    case 'rule':
      return walkByRule(policy, leg, asOf);
    case 'tenants':
      return walkByTenant(policy, policy.tenants!, leg, asOf);
    case 'subject':
      return walkBySubject(policy, leg, asOf);
  }
}
