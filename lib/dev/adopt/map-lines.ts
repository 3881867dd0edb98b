/**
 * The lines of the data map for tables it does not know yet. A person's line is never touched: only one that still says
 * nothing but `undecided` makes room for a policy; what cannot be written is said.
 */

import type { PolicyInput } from '../../policies/contract';
import type { DataMap, TableInput } from '../../policies/data-map-contract';
import { lineOf } from '../../policies/data-map-line';
import type { Surveyed } from './survey';
import type { Verdict } from './verdicts';

export interface MapChange {
  readonly text: string;
  /** How many lines were added or filled in. */
  readonly written: number;
  /** What a person has to change, each a sentence. */
  readonly left: readonly string[];
}

const labelOf = ({ facts }: Surveyed): string => `${facts.schema}.${facts.name}`;

/** One line for each table of the database. */
export function linesFor(
  verdicts: readonly Verdict[],
  added: readonly PolicyInput[],
): Map<string, TableInput> {
  const by = new Map<string, string>();
  for (const policy of added) {
    for (const d of [...(policy.dependants ?? []).filter((x) => x.fate === 'delete'), policy]) {
      by.set(`${d.table.schema ?? 'public'}.${d.table.name}`, policy.name);
    }
  }
  return new Map(
    verdicts
      .filter((v) => v.kind !== 'view')
      .map((v): [string, TableInput] => {
        const label = labelOf(v.table);
        const policy = by.get(label) ?? (v.kind === 'governed' ? v.by : undefined);
        if (v.kind === 'technical') return [label, { technical: v.why }];
        if (v.kind === 'governed' && v.permanent) return [label, { permanent: v.by }];
        const decision: TableInput = policy === undefined ? { undecided: true } : { policy };
        return [label, { ...decision, ...handled(v.table) }];
      }),
  );
}

/** What the running system proposes as well: an erasure deletes the row. A person reads it before the table is decided. */
function handled({ personal }: Surveyed): TableInput {
  const of = (classification: string) =>
    personal.filter((p) => p.classification === classification).map((p) => p.column);
  return Object.fromEntries(
    (['public', 'internal', 'confidential', 'restricted'] as const)
      .filter((c) => of(c).length > 0)
      .map((c) => [c, { delete: of(c) }]),
  );
}

/** The line as it was written for a table without a decision: it holds no personal data. */
const undecidedLine = (text: string, label: string): string | undefined =>
  text
    .split('\n')
    .find((line) => line.startsWith(lineOf(label, { undecided: true }).slice(0, -3)) && UNDECIDED.test(line));
const UNDECIDED =
  /\{ undecided: true(, (public|internal|confidential|restricted): \{ delete: \[[^\]]*\] \})* \},$/;

export function mapped(text: string, known: DataMap, lines: ReadonlyMap<string, TableInput>): MapChange {
  const left: string[] = [];
  const added: string[] = [];
  let changed = text;
  let filled = 0;
  for (const [label, input] of lines) {
    const there = known.find((t) => t.label === label);
    if (there === undefined) {
      added.push(lineOf(label, input));
      continue;
    }
    if (
      input.policy === undefined ||
      (there.decision.kind === 'policy' && there.decision.words === input.policy)
    )
      continue;
    const open = undecidedLine(changed, label);
    if (open !== undefined) {
      changed = changed.replace(`\n${open}\n`, () => `\n${lineOf(label, input)}\n`);
      filled += 1;
    } else {
      left.push(
        `${label} is ${there.decision.kind} in the data map: its line should say policy: '${input.policy}'`,
      );
    }
  }
  const end = changed.lastIndexOf('\n});');
  if (added.length > 0 && end < 0) {
    return {
      text,
      written: 0,
      left: [...left, 'lib/policies/data-map.ts has another form than expected; add:', ...added],
    };
  }
  const grown =
    added.length === 0 ? changed : `${changed.slice(0, end)}\n${added.join('\n')}${changed.slice(end)}`;
  return { text: grown, written: added.length + filled, left };
}
