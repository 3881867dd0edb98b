/**
 * One policy twice, as production last ran it and as this branch declares it: what differs, field by field. Words for the
 * reader count as well: a justification that changes is part of what a reviewer answers for.
 */
import type { Period, Policy } from '../../policies/contract';
import { periodInWords } from '../../policies/in-words';

export interface Side {
  readonly field: string;
  readonly production: string | null;
  readonly branch: string | null;
}

/** Always told, whether they differ or not: what a reviewer looks for first. */
const ALWAYS = ['period', 'schedule', 'where'] as const;

/** Fields that have a line of their own. */
const TOLD = ['name', 'rules', 'schedule', 'where'];

/** Every line that differs, after those that are always told. */
export function besideEachOther(production: Policy | null, branch: Policy | null): Side[] {
  const before = production && facesOf(production);
  const after = branch && facesOf(branch);
  const fields = [...new Set([...(before?.keys() ?? []), ...(after?.keys() ?? [])])];
  return fields
    .map((field) => ({ field, production: before?.get(field) ?? null, branch: after?.get(field) ?? null }))
    .filter(
      (s) => s.production !== s.branch || ALWAYS.some((a) => s.field === a || s.field.startsWith(`${a} `)),
    );
}

/** Each field as one line of text. */
function facesOf(policy: Policy): Map<string, string> {
  const faces = new Map<string, string>();
  for (const rule of policy.rules) faces.set(`period ${rule.label}`, periodOf(rule.keepFor));
  faces.set('schedule', [policy.schedule.run, policy.schedule.resume].filter(Boolean).join(', '));
  faces.set('where', policy.where?.replace(/\s+/g, ' ').trim() ?? 'every row');
  for (const rule of policy.rules) {
    if (Object.keys(rule.match).length > 0) faces.set(`match ${rule.label}`, JSON.stringify(rule.match));
  }
  for (const [field, value] of Object.entries(policy)) {
    if (!TOLD.includes(field) && value !== undefined) faces.set(field, oneLine(value));
  }
  return faces;
}

const periodOf = (period: Period): string =>
  `${periodInWords(period)}${period.env ? ` (${period.env} may change it)` : ''}`;

const oneLine = (value: unknown): string =>
  (typeof value === 'string' ? value : JSON.stringify(value)).replace(/\s+/g, ' ').trim();
