/**
 * Rows of other tables that count as a row's clock: an index answers whether one of them is young, a foreign key keeps
 * new ones from a row that is locked, and no change of the date of one that is there passes by a running batch (promise 1).
 */
import type { Problem } from '../../platform/errors';
import { name } from '../../platform/sql';
import { type Later, scaleOf } from '../../policies/clocks';
import { referredTo } from './later';
import { gateOnDate } from './preflight-elsewhere';
import { type Catalog, type Check, type Index, quoted, type Relation } from './preflight-facts';
import { waitsAnyway } from './preflight-gates';
import { conjuncts, createIndex, printed } from './preflight-indexes';
import { lackingRights } from './preflight-tables';

const COPY = 'keep the latest date in a column of the row, and name that in clock.orLater';

export const clockBelow: Check = (catalog) => {
  const all = catalog.policy.clock.orLaterIn ?? [];
  const first = catalog.facts.declared.length - all.length;
  const tables = all.map((of, i) => ({ of, r: catalog.declared(first + i) }));
  const problems = tables.flatMap(({ of, r }, i) => judge(of, `clock.orLaterIn.${i}`, r));
  const asked = catalog.facts.fragments.clock;
  // Types of columns are said above; what is left are references that cannot be compared.
  const isTyped = tables.every(({ of, r }) => r && of.column in r.columns && ofType(r, of, '').length === 0);
  if (isTyped && asked?.state && /^(42883|42804)$/.test(asked.state)) {
    const remedy = 'correct references in clock.orLaterIn, or give the columns the same types';
    problems.push({ problem: `clock.orLaterIn cannot be asked: ${asked.message}`, remedy });
  }
  const there = [...new Set(tables.flatMap(({ r }) => r ?? []))];
  const waits = there.flatMap((r) =>
    changesWait(
      catalog,
      r,
      tables.filter((x) => x.r === r).map((x) => x.of),
    ),
  );
  return [...problems, ...waits];
};

function judge(of: Later, field: string, r: Relation | null): Problem[] {
  if (!r) {
    return [
      {
        problem: `${field}: there is no table ${of.table.schema}.${of.table.name}`,
        remedy: `create it, or correct ${field}.table in the policy`,
      },
    ];
  }
  const absent = [of.column, ...of.references].filter((c) => !(c in r.columns));
  if (absent.length > 0) {
    return absent.map((c) => ({
      problem: `${field}: column ${name(c)} of ${quoted(r)} does not exist`,
      remedy: `correct ${field} in the policy`,
    }));
  }
  const [unlike] = [...unseen(r), ...ofType(r, of, field)];
  if (unlike) return [unlike];
  const rights =
    r.may.use && r.may.select ? [] : lackingRights(r, r.may.select ? '' : 'SELECT from', 'SELECT');
  return [...rights, ...unindexed(r, of)];
}

/** What is not seen whole may hide the one row that counts. */
function unseen(r: Relation): Problem[] {
  const why =
    r.kind !== 'r'
      ? `is not a plain table (relkind ${r.kind})`
      : r.has_heirs
        ? 'has inheriting tables'
        : r.rls
          ? 'has row-level security'
          : null;
  return why === null
    ? []
    : [{ problem: `${quoted(r)}, which has a part in the clock, ${why}`, remedy: COPY }];
}

function ofType(r: Relation, of: Later, field: string): Problem[] {
  const column = r.columns[of.column]!;
  if (scaleOf(of).columns.includes(column.base)) return [];
  return [
    {
      problem: `the clock ${name(of.column)} of ${quoted(r)} is ${column.type}, the policy says ${of.type}`,
      remedy: /^(text|character)/.test(column.base) ? COPY : `correct ${field}.type in the policy`,
    },
  ];
}

function unindexed(r: Relation, of: Later): Problem[] {
  if (r.indexes.some((i) => answers(i, of))) return [];
  const columns = [...of.references, of.column].map(name).join(', ');
  return [
    {
      problem: `${quoted(r)} has no index on (${columns}): of each row all that refer to it would be read`,
      remedy: createIndex(r, columns),
    },
  ];
}

/** Begins with the reference, then the clock; or there is one row at most. */
function answers({ columns, method, partial, unique }: Index, { references, column }: Later): boolean {
  const there = references.flatMap(printed).map((c) => `${c} IS NOT NULL`);
  if (method !== 'btree' || !conjuncts(partial).every((part) => there.includes(part))) return false;
  const head = columns.slice(0, references.length);
  if ([...head].sort().join('\0') !== [...references].sort().join('\0')) return false;
  return columns[references.length] === column || (unique && columns.length === references.length);
}

/**
 * A foreign key refuses or holds back a new row while the one it refers to is locked; without one every write waits for the
 * running batch. The date of a row that is there moves without a look at the other.
 */
function changesWait(catalog: Catalog, r: Relation, all: readonly Later[]): Problem[] {
  const columns = [...new Set(all.flatMap((of) => [of.column, ...of.references]))];
  if (r.kind !== 'r' || columns.some((c) => !(c in r.columns)) || waitsAnyway(catalog, r)) return [];
  return all.every((of) => isBound(catalog, r, of))
    ? gateOnDate(
        r,
        all.map((of) => of.column),
        ['update'],
      )
    : // That a row goes makes no other younger.
      gateOnDate(r, columns, ['insert', 'update']);
}

function isBound(catalog: Catalog, r: Relation, of: Later): boolean {
  const { governed, policy } = catalog;
  const pairs = (from: readonly string[], to: readonly string[]) =>
    from
      .map((c, i) => `${c}\0${to[i]}`)
      .sort()
      .join('\0\0');
  const wanted = pairs(of.references, referredTo(policy, of));
  return (
    governed !== null &&
    catalog.pointingAt(governed).some((f) => f.at === r.root && pairs(f.columns, f.to_columns) === wanted)
  );
}
