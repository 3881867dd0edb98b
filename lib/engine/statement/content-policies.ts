/** What a policy's rows refer to, each as a policy of its own: everything that refers to it keeps it here. */
import type { Dependant, Policy } from '../../policies/contract';
import { contentsOf } from '../../policies/going';

/** `sharedWith` first, then the governed table's own references. */
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
        ...content.sharedWith.map((s) => referring(s.table, s.columns)),
        ...content.references.map((r) => referring(policy.table, r)),
      ],
    };
  });
}
