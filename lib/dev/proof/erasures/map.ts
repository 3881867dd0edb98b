/** What the data map and the policies say, read a second time for the oracle: from what was written, not from what Lapse made of it. */
import { createHash, createHmac, hkdfSync } from 'node:crypto';
import type { PolicyInput } from '../../../policies/contract';
import type { DataMapInput, TableInput } from '../../../policies/data-map-contract';
import { MASK_KEY } from '../shapes/masks';
import { labelOf } from '../shapes/shape';

type Handled =
  | { readonly kind: 'delete' }
  | { readonly kind: 'mask'; readonly leaves: null | 'hash' | { readonly constant: string } }
  | { readonly kind: 'retain'; readonly until: unknown };

export interface Line {
  readonly label: string;
  readonly subject: string | null;
  readonly identifiers: readonly string[];
  readonly files: readonly string[];
  readonly mentions: readonly { column: string; path?: string | undefined; is: string }[];
  readonly detach: readonly string[];
  readonly columns: ReadonlyMap<string, Handled>;
  readonly impersonal: readonly string[];
  /** `null`: a decision, and nothing of it has a handling. */
  readonly action: 'delete' | 'mask' | 'retain' | null;
}

export function linesOf(map: DataMapInput, policies: readonly PolicyInput[]): Map<string, Line> {
  return new Map(Object.entries(map).map(([label, input]) => [label, lineOf(label, input, policies)]));
}

function lineOf(label: string, input: TableInput, policies: readonly PolicyInput[]): Line {
  const columns = new Map<string, Handled>();
  for (const h of [input.public, input.internal, input.confidential, input.restricted]) {
    for (const c of h?.delete ?? []) columns.set(c, { kind: 'delete' });
    for (const [c, leaves] of Object.entries(h?.mask ?? {})) columns.set(c, { kind: 'mask', leaves });
    for (const r of [h?.retain ?? []].flat())
      for (const c of r.columns) columns.set(c, { kind: 'retain', until: r.until });
  }
  const kinds = [...columns.values()].map((h) => h.kind);
  const isGoverned = input.policy !== undefined && policies.some((p) => tableIn(p) === label);
  const action = (['delete', 'mask', 'retain'] as const).find((k) => kinds.includes(k)) ?? null;
  return {
    label,
    subject: input.subject ?? null,
    identifiers: input.identifiers ?? [],
    files: input.files ?? [],
    mentions: input.mentions ?? [],
    detach: input.detach ?? [],
    columns,
    impersonal: input.impersonal ?? [],
    action: action ?? (isGoverned ? 'delete' : null),
  };
}

export const tableIn = ({ table }: Pick<PolicyInput, 'table'>): string =>
  labelOf({ schema: table.schema ?? 'public', name: table.name });

/** What a keyed hash of an erasure leaves, by Node's own functions. */
export function hashedIn(label: string, value: string): string {
  const purpose = `erasure-${createHash('sha256').update(label).digest('hex').slice(0, 12)}`;
  const key = Buffer.from(hkdfSync('sha256', Buffer.from(MASK_KEY, 'hex'), '', `lapse.mask/${purpose}`, 32));
  return createHmac('sha256', key).update(value, 'utf8').digest('hex');
}

/** In small letters from A to Z, without blanks around it. */
export const normal = (value: string): string =>
  value.replace(/^ +| +$/g, '').replace(/[A-Z]/g, (c) => c.toLowerCase());

/** What a path of the kinds that the generator makes leads to, as text. */
export function valuesAt(json: string | null, path: string): string[] {
  if (json === null) return [];
  let found: unknown[] = [JSON.parse(json)];
  for (const step of path.slice(2).split('.')) {
    const name = step.replace('[*]', '');
    // A list where a member is asked for is gone through, as PostgreSQL does.
    found = found
      .flatMap((x) => (Array.isArray(x) ? x : [x]))
      .flatMap((x) =>
        x !== null && typeof x === 'object' && name in x ? [(x as Record<string, unknown>)[name]] : [],
      )
      .flatMap((x) => (step.endsWith('[*]') && Array.isArray(x) ? x : [x]));
  }
  return found.flatMap((x) => (typeof x === 'string' || typeof x === 'number' ? [String(x)] : []));
}
