/** What a policy's rows refer to, each as a policy of its own: everything that refers to it keeps it here. */

import { contentsOf, ending, staying } from '../../policies/contents';
import type { Dependant, Policy } from '../../policies/contract';

/** First what keeps it here whichever rows go, then the references that end with a batch. */
export function contentPolicies(policy: Policy): Policy[] {
  return contentsOf(policy).map((content) => {
    const referring = (table: Policy['table'], columns: readonly string[]): Dependant => ({
      table,
      key: columns.map((column) => ({ column })),
      references: [...columns],
      fate: 'block',
      scope: {},
      files: [],
    });
    const {
      where: _,
      judgedBy: _j,
      tenants: _t,
      notice: _n,
      consent: _c,
      keepAtLeast: _k,
      thin: _h,
      contents: _o,
      ...rest
    } = policy;
    return {
      ...rest,
      table: content.table,
      key: content.key,
      clock: { column: content.key[0]!.column, type: 'timestamptz' },
      strategy: { kind: 'delete' },
      rules: [{ label: 'content', keepFor: { seconds: null }, match: {} }],
      scope: content.scope,
      files: content.files,
      knownTriggers: content.knownTriggers ?? [],
      dependants: [
        ...staying(policy, content).map((s) => referring(s.table, s.columns)),
        ...ending(policy, content).map((r) => referring(r.place.table, r.columns)),
      ],
    };
  });
}
