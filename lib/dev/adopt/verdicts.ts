/** What could become of each table: governed, technical, proposed, possible for a person to judge, or refused with why. */
import type { Problem } from '../../platform/errors';
import type { PermanentTable, Policy } from '../../policies/contract';
import { type Draft, draftOf, isProposal } from './draft';
import { judge, type Step } from './judge';
import type { Reader } from './read-only';
import type { Survey, Surveyed } from './survey';

export type Verdict = { readonly table: Surveyed } & (
  | { readonly kind: 'technical'; readonly why: string }
  | { readonly kind: 'governed'; readonly by: string; readonly permanent: boolean }
  /** `proposed`: its clock says that a row is over. `possible`: the engine takes it, and a person has to say so. */
  | { readonly kind: 'proposed' | 'possible'; readonly draft: Draft; readonly steps: readonly Step[] }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] }
  /** Nothing in the catalog says when a row would be over. */
  | { readonly kind: 'timeless'; readonly problem: Problem & { readonly by?: string } }
  | { readonly kind: 'unjudged'; readonly draft: Draft }
  | { readonly kind: 'view' }
);

export interface Declared {
  readonly policies: readonly Policy[];
  readonly permanent: readonly PermanentTable[];
}

export async function verdicts(reader: Reader, survey: Survey, declared: Declared): Promise<Verdict[]> {
  const found: Verdict[] = [];
  for (const table of survey.tables) found.push(await verdictOf(reader, survey, table, declared));
  return found;
}

async function verdictOf(
  reader: Reader,
  survey: Survey,
  table: Surveyed,
  { policies, permanent }: Declared,
): Promise<Verdict> {
  const { facts, technical } = table;
  const isThis = (t: { schema: string; name: string }) => t.schema === facts.schema && t.name === facts.name;
  if (technical !== null) return { table, kind: 'technical', why: technical };
  if (facts.kind !== 'r' && facts.kind !== 'p') return { table, kind: 'view' };
  const by =
    policies.find((p) => isThis(p.table)) ??
    policies.find((p) => p.dependants.some((d) => d.fate === 'delete' && isThis(d.table)));
  const kept = permanent.find((p) => isThis(p.table));
  if (kept ?? by) return { table, kind: 'governed', by: (kept ?? by)!.name, permanent: kept !== undefined };
  const draft = draftOf(survey, table);
  if ('problem' in draft) {
    if (draft.timeless) return { table, kind: 'timeless', problem: draft };
    return { table, kind: 'refused', problems: [draft] };
  }
  if (!survey.catalog.migrated) return { table, kind: 'unjudged', draft };
  const { steps, refused } = await judge(reader, survey.catalog, draft.input, permanent);
  if (refused.length > 0) return { table, kind: 'refused', problems: refused };
  return { table, kind: isProposal(table, draft.clock) ? 'proposed' : 'possible', draft, steps };
}
