/** A table's line of the data map, as a program writes it into lib/policies/data-map.ts or names it in a warning. */
import { CLASSIFICATIONS, type MappedColumn, type MappedTable, type TableInput } from './data-map-contract';
import { quoted, written } from './typescript';

/** `  'public.users': { kept: '…', confidential: { delete: ['email'] } },` */
export const lineOf = (label: string, input: TableInput): string => `  ${quoted(label)}: ${written(input)},`;

/** A line as it would be written: what `defineDataMap` read it from, but for the order of its columns. */
export function inputOf({ decision, subject, columns, impersonal, ...rest }: MappedTable): TableInput {
  const input: Record<string, unknown> = { [decision.kind]: decision.words ?? true };
  if (subject) input.subject = subject;
  const { identifiers, files, mentions, detach, knownTriggers } = rest;
  for (const [field, given] of Object.entries({ identifiers, files, mentions, detach, knownTriggers })) {
    if (given.length > 0) input[field] = given;
  }
  for (const classification of CLASSIFICATIONS) {
    const handled = handledOf(columns.filter((c) => c.classification === classification));
    if (Object.keys(handled).length > 0) input[classification] = handled;
  }
  if (impersonal.length > 0) input.impersonal = impersonal;
  return input as TableInput;
}

function handledOf(columns: readonly MappedColumn[]): Record<string, unknown> {
  const gone = columns.filter((c) => c.handling.kind === 'delete').map((c) => c.column);
  const masks = columns.flatMap(({ column, handling }) =>
    handling.kind === 'mask' ? [[column, handling.leaves] as const] : [],
  );
  const kept = new Map<string, { columns: string[]; ground: string; until: unknown }>();
  for (const { column, handling } of columns) {
    if (handling.kind !== 'retain') continue;
    const { ground, until } = handling;
    const same = JSON.stringify([ground, until]);
    kept.set(same, { columns: [...(kept.get(same)?.columns ?? []), column], ground, until });
  }
  const retained = [...kept.values()];
  return {
    ...(gone.length > 0 ? { delete: gone } : {}),
    ...(masks.length > 0 ? { mask: Object.fromEntries(masks) } : {}),
    ...(retained.length > 0 ? { retain: retained.length === 1 ? retained[0] : retained } : {}),
  };
}
