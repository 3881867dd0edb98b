/** When a row of a copy is old enough, and whether anything but its age keeps it from being looked at. */
import type { Policy } from '../../../policies/contract';
import type { CopiedRow, Copy } from './copy';
import { labelOf } from './shape';

export interface Judged {
  readonly copy: Copy;
  readonly policy: Policy;
  readonly at: Date;
}

/** The column by which a row is known that was marked or masked already. */
export function markOf({ strategy }: Policy): string | null {
  if (strategy.kind === 'mask') return strategy.mark;
  return strategy.kind === 'soft-delete' ? strategy.column : null;
}

const isDone = (row: CopiedRow, policy: Policy): boolean => {
  const mark = markOf(policy);
  return mark !== null && row.values[mark] !== null;
};

/** By its own clock. */
export function isDue(row: CopiedRow, j: Judged): boolean {
  const cutoff = cutoffOf(row, j);
  if (row.instant === null || cutoff === null || isDone(row, j.policy)) return false;
  // A date has passed once its day is over.
  return j.policy.clock.type === 'date' ? row.instant <= cutoff : row.instant < cutoff;
}

/** In microseconds since 1970; null: it is kept forever. */
export function cutoffOf(row: CopiedRow, j: Judged): bigint | null {
  const keep = keepFor(row, j);
  return keep === null ? null : BigInt(j.at.getTime()) * 1000n - BigInt(keep) * 1_000_000n;
}

/** It stands before the cutoff, and is no instant: it is looked at, and stays. */
export function isBeforeAll(row: CopiedRow, j: Judged): boolean {
  // Of a clock that stands elsewhere none is before another.
  if (j.policy.clock.in) return false;
  const keep = keepFor(row, j);
  if (row.instant !== null || row.clock === null || keep === null || isDone(row, j.policy)) return false;
  const cutoff = new Date(j.at.getTime() - keep * 1000).toISOString();
  // A day that no calendar has.
  if (j.policy.clock.type === 'iso') return /^\d{4}-/.test(row.clock) && row.clock < cutoff;
  return row.clock === '-infinity';
}

/** Seconds; null: forever, or no rule is for it. */
function keepFor(row: CopiedRow, { policy, copy }: Judged): number | null {
  const { rules, tenants } = policy;
  if (!tenants) {
    const rule = rules.find((r) =>
      Object.entries(r.match).every(([column, value]) => row.values[column] === String(value)),
    );
    return rule?.keepFor.seconds ?? null;
  }
  const tenant = (copy.tables.get(labelOf(tenants.table)) ?? []).find(
    (t) => t.values[tenants.key.column] === row.values[tenants.column],
  );
  const own = copy.overrides.get(tenant?.values[tenants.key.column] ?? '');
  if (own !== undefined) return own;
  return rules.find((r) => r.label === tenant?.values.plan)?.keepFor.seconds ?? null;
}
