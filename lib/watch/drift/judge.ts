/**
 * What has drifted apart: the tables there are, the data map, and the policies. Each finding says what to write or run.
 * Judged from what was read, without a database.
 */

import { indexStatement } from '../../platform/index-statement';
import { name } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { DataMap, MappedTable, TableInput } from '../../policies/data-map-contract';
import { inputOf, lineOf } from '../../policies/data-map-line';
import { looksPersonal } from '../../policies/personal';
import type { Table } from './catalog';

/**
 * `table`: no line in the map. `undecided`: a line that says so. `column`: looks personal and has no handling. `foreign-key`:
 * without an index, where rows go. `map`: the map speaks of what is not there. `policy`: what keeps a policy from deleting.
 */
export const KINDS = ['table', 'undecided', 'column', 'foreign-key', 'map', 'policy', 'unread'] as const;

export interface Finding {
  readonly kind: (typeof KINDS)[number];
  /** A table, a column or a policy. */
  readonly subject: string;
  readonly problem: string;
  /** A line for lib/policies/data-map.ts, a statement, or a step. */
  readonly remedy: string;
}

export interface Declared {
  readonly policies: readonly Policy[];
  readonly dataMap: DataMap;
}

/** `isWhole`: these are all the tables there are. */
export function judge(tables: readonly Table[], { policies, dataMap }: Declared, isWhole = true): Finding[] {
  const lines = new Map(dataMap.map((line) => [line.label, line]));
  const labels = new Set(tables.map((t) => t.label));
  const losing = losingRows({ policies, dataMap });
  return [
    ...tables.flatMap((table) => {
      const line = lines.get(table.label);
      return [
        ...(line ? inLine(table, line) : [withoutLine(table, policies)]),
        ...table.unindexed.filter((f) => losing.has(f.to)).map((f) => unindexed(table, f)),
      ];
    }),
    ...dataMap
      .filter((line) => isWhole || labels.has(line.label))
      .flatMap((line) => stale(line, labels.has(line.label), policies)),
  ];
}

const labelOf = (t: { schema: string; name: string }): string => `${t.schema}.${t.name}`;

/** The policies whose rows, or whose dependants that go, lie in this table. */
const governing = (label: string, policies: readonly Policy[]): Policy[] =>
  policies.filter(
    (p) =>
      labelOf(p.table) === label ||
      p.dependants.some((d) => d.fate === 'delete' && labelOf(d.table) === label) ||
      p.contents?.some((c) => labelOf(c.table) === label),
  );

/** Tables from which a policy or an erasure takes rows: each is looked for in every table that refers to it. */
function losingRows({ policies, dataMap }: Declared): Set<string> {
  const erased = dataMap.filter((line) => line.columns.some((c) => c.handling.kind === 'delete'));
  const taken = policies.flatMap((p) => [
    p.table,
    ...p.dependants.filter((d) => d.fate === 'delete').map((d) => d.table),
    ...(p.contents ?? []).map((c) => c.table),
  ]);
  return new Set([...erased.map((line) => line.label), ...taken.map(labelOf)]);
}

function withoutLine(table: Table, policies: readonly Policy[]): Finding {
  const [policy] = governing(table.label, policies);
  const line: TableInput = policy ? { policy: policy.name } : { undecided: true };
  const personal = personalIn(table, []);
  return {
    kind: 'table',
    subject: table.label,
    problem: `${table.label} has no decision in the data map${personal.length > 0 ? `; ${personal.map((c) => c.name).join(', ')} look${personal.length === 1 ? 's' : ''} personal` : ''}`,
    remedy: lineOf(table.label, withColumns(line, personal, 'delete')),
  };
}

function inLine(table: Table, line: MappedTable): Finding[] {
  const known = [...line.columns.map((c) => c.column), ...line.impersonal];
  const open = personalIn(table, known);
  const stays = line.decision.kind === 'permanent' || line.columns.some((c) => c.handling.kind !== 'delete');
  const now = inputOf(line);
  return [
    ...(line.decision.kind === 'undecided' ? [undecided(line)] : []),
    ...open.map(
      (c): Finding => ({
        kind: 'column',
        subject: `${table.label}.${c.name}`,
        problem: `${table.label}.${c.name} looks personal and has no handling in the data map`,
        remedy: lineOf(table.label, withColumns(now, open, stays ? 'mask' : 'delete')),
      }),
    ),
    ...gone(line, table),
  ];
}

const undecided = (line: MappedTable): Finding => ({
  kind: 'undecided',
  subject: line.label,
  problem: `${line.label} has no decision`,
  remedy: `say policy, permanent, kept or technical instead of undecided in its line of lib/policies/data-map.ts`,
});

/** Columns of the line that are not there, and masks that the column does not take. */
function gone(line: MappedTable, table: Table): Finding[] {
  const there = new Map(table.columns.map((c) => [c.name, c]));
  const about = (column: string, problem: string, remedy: string): Finding => ({
    kind: 'map',
    subject: `${line.label}.${column}`,
    problem,
    remedy,
  });
  const ends = line.columns.flatMap((c) =>
    c.handling.kind === 'retain' && typeof c.handling.until === 'object' ? [c.handling.until.after] : [],
  );
  const named = [...line.columns.map((c) => c.column), ...line.impersonal, ...ends];
  return [
    ...[...new Set(named)]
      .filter((column) => !there.has(column))
      .map((column) =>
        about(
          column,
          `the data map names ${column}, and ${line.label} has no such column`,
          'correct its name in the line, or take it out',
        ),
      ),
    ...line.columns
      .filter(
        (c) => c.handling.kind === 'mask' && c.handling.leaves === null && there.get(c.column)?.required,
      )
      .map((c) =>
        about(
          c.column,
          `${line.label}.${c.column} is NOT NULL and cannot be emptied`,
          `mask it with 'hash' or a constant`,
        ),
      ),
  ];
}

const unindexed = (table: Table, f: Table['unindexed'][number]): Finding => ({
  kind: 'foreign-key',
  subject: `${table.label}.${f.name}`,
  problem: `foreign key ${f.name} of ${table.label} is not indexed: each row that goes from ${f.to} would scan that table`,
  // In the words of the preflight, so that each is reported once.
  remedy: indexStatement({
    table,
    isPartitioned: table.partitioned,
    columns: f.columns.map(name).join(', '),
  }),
});

/** What a line says of its table and its policy, and what is there. */
function stale(line: MappedTable, isThere: boolean, policies: readonly Policy[]): Finding[] {
  const wrong = wrongIn(line, isThere, policies);
  return wrong ? [{ kind: 'map', subject: line.label, ...wrong }] : [];
}

function wrongIn(
  line: MappedTable,
  isThere: boolean,
  policies: readonly Policy[],
): Pick<Finding, 'problem' | 'remedy'> | null {
  const { label } = line;
  const { kind, words } = line.decision;
  if (!isThere) {
    const problem = `the data map has ${label}, and there is no such table`;
    return { problem, remedy: 'take its line out, or correct its name' };
  }
  const governs = governing(label, policies);
  if (kind !== 'policy') {
    const [first] = governs;
    if (!first) return null;
    const { [kind]: _, ...rest } = inputOf(line);
    return {
      problem: `${first.name} deletes from ${label}, and the data map says ${kind}`,
      remedy: lineOf(label, { policy: first.name, ...rest }),
    };
  }
  if (governs.some((p) => p.name === words)) return null;
  return policies.some((p) => p.name === words)
    ? {
        problem: `${words} takes no row of ${label}`,
        remedy: 'name the policy that does, or decide otherwise',
      }
    : {
        problem: `the data map assigns ${label} to ${words}, and there is no such policy`,
        remedy: 'correct the name, or decide otherwise',
      };
}

type Personal = Table['columns'][number] & {
  readonly classification: NonNullable<ReturnType<typeof looksPersonal>>;
};

function personalIn(table: Table, known: readonly string[]): Personal[] {
  return table.columns.flatMap((c) => {
    const classification = looksPersonal({ table: table.name, column: c.name, type: c.type });
    return classification === null || known.includes(c.name) ? [] : [{ ...c, classification }];
  });
}

/** The line with these columns added. `mask`: the row stays, so what identifies a person is emptied, or hashed where it cannot be. */
function withColumns(line: TableInput, columns: readonly Personal[], how: 'delete' | 'mask'): TableInput {
  let all = line;
  for (const c of columns) {
    const there = all[c.classification] ?? {};
    const handled =
      how === 'delete'
        ? { ...there, delete: [...(there.delete ?? []), c.name] }
        : { ...there, mask: { ...there.mask, [c.name]: c.required ? ('hash' as const) : null } };
    all = { ...all, [c.classification]: handled };
  }
  return all;
}
