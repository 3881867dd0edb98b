/** The data map in the console: what lacks a decision, then every table with what was decided; and what the last look found adrift. */
import { askOne } from '../../platform/session';
import { tableLabel } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { MappedTable } from '../../policies/data-map-contract';
import type { Services } from '../../services';
import { currentDrift } from '../../watch/drift/store';

const LIMITS = { statementMs: 5_000, readOnly: true };

interface Finding {
  readonly kind: string;
  readonly subject: string;
  readonly problem: string;
  readonly remedy: string;
  readonly since: string;
}

export interface TableLine {
  readonly label: string;
  readonly decision: string;
  readonly undecided: boolean;
  /** Policies that delete its rows. */
  readonly policies: readonly string[];
  /** Whose rows they are, where each row is a person or an organization. */
  readonly subject: string | null;
  /** Personal columns by what an erasure does with them. */
  readonly erased: readonly string[];
  readonly masked: readonly string[];
  readonly retained: readonly { readonly columns: readonly string[]; readonly ground: string }[];
}

export interface DataMapPage {
  /** Tables and columns that nobody has decided about come first. */
  readonly findings: readonly Finding[];
  readonly tables: readonly TableLine[];
}

const UNDECIDED = ['table', 'undecided', 'column'];

export async function dataMapPage({ reading, dataMap, policies }: Services): Promise<DataMapPage> {
  const findings = await askOne(reading, currentDrift, LIMITS);
  const isFirst = (f: Finding) => UNDECIDED.includes(f.kind);
  const tables = dataMap.map((line) => lineOf(line, policies));
  return {
    findings: [...findings.filter(isFirst), ...findings.filter((f) => !isFirst(f))],
    tables: [...tables.filter((t) => t.undecided), ...tables.filter((t) => !t.undecided)],
  };
}

const DECIDED: Readonly<Record<string, string>> = {
  policy: 'goes by policy',
  permanent: 'never expires:',
  kept: 'kept:',
  technical: 'no personal data:',
};

function lineOf(line: MappedTable, policies: readonly Policy[]): TableLine {
  const { label, decision, subject, columns } = line;
  const of = (kind: string) => columns.filter((c) => c.handling.kind === kind).map((c) => c.column);
  const retained = new Map<string, string[]>();
  for (const { column, handling } of columns) {
    if (handling.kind !== 'retain') continue;
    retained.set(handling.ground, [...(retained.get(handling.ground) ?? []), column]);
  }
  return {
    ...{ label, subject },
    undecided: decision.kind === 'undecided',
    decision: `${DECIDED[decision.kind] ?? 'not decided'} ${decision.words ?? ''}`.trim(),
    policies: policies
      .filter((p) => [p, ...p.dependants].some((t) => tableLabel(t.table) === label))
      .map((p) => p.name),
    erased: of('delete'),
    masked: of('mask'),
    retained: [...retained].map(([ground, names]) => ({ columns: names, ground })),
  };
}
