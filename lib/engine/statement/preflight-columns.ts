/**
 * Are the columns what the policy says: there, of the declared types, and the keys such that a receipt can name one
 * row and no other? Of the governed table and of every dependant.
 */

import type { Problem } from '../../platform/errors';
import type { KeyColumn } from '../../platform/sql';
import { name } from '../../platform/sql';
import { clockColumns, scaleOf } from '../../policies/clocks';
import { type Dependant, type Policy, TEXT } from '../../policies/contract';
import { changedColumns } from '../../policies/going';
import { groupColumns } from '../../policies/spared';
import { strategyOf } from '../../policies/strategies';
import { written } from '../../policies/typescript';
import { type Catalog, type Check, type Column, quoted, type Relation } from './preflight-facts';
import { createIndex } from './preflight-indexes';

export const columnsExist: Check = ({ policy, governed, children }) => [
  ...missing(governed, columnsOf(policy), ''),
  ...children.flatMap(({ declared, relation, parent, refersTo }, i) => [
    ...missing(relation, columnsOfChild(declared), `dependants.${i} of `),
    ...(declared.refersTo ? missing(parent, refersTo, `dependants.${i}.refersTo of `) : []),
  ]),
];

const columnsOf = (policy: Policy): string[] => [
  ...clockColumns(policy.clock),
  ...policy.key.map((k) => k.column),
  ...policy.rules.flatMap((rule) => Object.keys(rule.match)),
  ...(policy.tenants ? [policy.tenants.column] : []),
  ...changedColumns(policy),
  ...groupColumns(policy),
  ...rest(policy),
];

const columnsOfChild = (d: Dependant): string[] => [
  ...d.key.map((k) => k.column),
  ...d.references,
  ...rest(d),
];

const rest = ({ files, scope }: Pick<Dependant, 'files' | 'scope'>): string[] => [
  ...files.flatMap((f) => [f.column, ...(f.bytes ? [f.bytes] : [])]),
  ...[scope.organization, scope.user].filter((c) => c !== undefined),
];

const missing = (r: Relation | null, wanted: readonly string[], of: string): Problem[] =>
  r === null
    ? []
    : [...new Set(wanted)]
        .filter((column) => !(column in r.columns))
        .map((column) => ({
          problem: `column ${name(column)} of ${quoted(r)} does not exist`,
          remedy: `correct ${of}the policy, or migrate the table`,
        }));

/** What each type says of itself where it counts time. */
const SPELLED: Record<string, string> = {
  'timestamp with time zone': `type: 'timestamptz'`,
  'timestamp without time zone': `type: 'timestamp'`,
  date: `type: 'date'`,
  bigint: `type: 'epoch', unit: 'seconds' or 'milliseconds'`,
  integer: `type: 'epoch', unit: 'seconds'`,
  numeric: `type: 'epoch', unit: 'seconds' or 'milliseconds', numeric: true`,
  text: `type: 'iso'`,
  'character varying': `type: 'iso'`,
};

export const clockType: Check = ({ policy, governed }) =>
  (policy.clock.in ? [] : clockColumns(policy.clock)).flatMap((c) => {
    const column = governed?.columns[c];
    if (!column || scaleOf(policy.clock).columns.includes(column.base)) return [];
    return [
      {
        problem: `the clock ${name(c)} is ${column.type}, the policy says ${policy.clock.type}`,
        remedy: asClock(column.base),
      },
    ];
  });

/** How a column of this type is declared as a clock. */
export const asClock = (type: string): string =>
  SPELLED[type]
    ? `correct clock.type in the policy: ${SPELLED[type]}`
    : 'name another clock in the policy: timestamptz, timestamp, date, a number of seconds or milliseconds, or ISO text';

/** What the strategy itself demands of the table. */
export const strategyFits: Check = ({ policy, governed }) =>
  governed ? strategyOf(policy).unfit(governed) : [];

export const keys: Check = (catalog) => {
  const { policy, governed, children } = catalog;
  return [
    ...(governed ? judgeKey(catalog, governed, policy.key, 'key') : []),
    ...children.flatMap(({ declared, relation }, i) =>
      relation ? judgeKey(catalog, relation, declared.key, `dependants.${i}.key`) : [],
    ),
    ...(policy.tenants ? judgeTenantKey(catalog) : []),
  ];
};

function judgeKey(catalog: Catalog, r: Relation, key: readonly KeyColumn[], field: string): Problem[] {
  const known = key.filter((k) => k.column in r.columns);
  if (known.length < key.length) return [];
  return [
    ...typed(catalog, r, key, field),
    ...impersonal(r, key, field),
    ...notNull(r, key),
    ...unique(r, key),
  ];
}

const typed = (catalog: Catalog, r: Relation, key: readonly KeyColumn[], field: string): Problem[] =>
  key.flatMap((k) => {
    const column = r.columns[k.column]!;
    if (k.type === undefined || isOfType(catalog, column, k.type)) return [];
    return [
      {
        problem: `${field}: ${name(k.column)} of ${quoted(r)} is ${column.type}, the policy says ${k.type}`,
        remedy: `correct it in the policy: { column: '${k.column}', type: '${spelled(column)}' }`,
      },
    ];
  });

/** The declaration refuses a type of text itself; here is what it did not say. */
const impersonal = (r: Relation, key: readonly KeyColumn[], field: string): Problem[] =>
  key
    .filter((k) => k.personal !== false && TEXT.test(r.columns[k.column]!.base))
    .map((k) => ({
      problem: `${field}: ${name(k.column)} of ${quoted(r)} is text, and keys are written into receipts, which are never changed`,
      remedy: `where it holds no name, address or other personal data write { column: '${k.column}', personal: false } in the policy; else name another unique key`,
    }));

/** Without a length these mean a length of one, and a cast would cut the value. */
const NEEDS_LENGTH = /^(char|character|bit)$/i;

/** A declared length is used in casts, so it has to be the column's own. */
function isOfType({ facts }: Catalog, column: Column, declared: string): boolean {
  const oid = facts.types[declared] ?? null;
  if (oid === null || (oid !== column.type_oid && oid !== column.base_oid)) return false;
  const length = /\([\d,]+\)$/.exec(declared)?.[0] ?? null;
  if (length !== null) return column.type.includes(length);
  return !NEEDS_LENGTH.test(declared);
}

const spelled = (column: Column): string => (NEEDS_LENGTH.test(column.plain) ? column.type : column.plain);

/** Of such a table most rows may have no NULL there; only the database knows, and says so when it is told that none may. */
function notNull(r: Relation, key: readonly KeyColumn[]): Problem[] {
  const open = key.map((k) => k.column).filter((c) => !r.columns[c]!.not_null);
  if (open.length === 0) return [];
  const set = `ALTER TABLE ${quoted(r)} ${open.map((c) => `ALTER COLUMN ${name(c)} SET NOT NULL`).join(', ')};`;
  const problem = `${open.map(name).join(', ')} of ${quoted(r)} may be NULL: a receipt could not name such a row`;
  const said = { problem, unnamed: true } as const;
  const other = r.indexes.find(
    (i) => i.unique && i.partial === null && i.columns.every((c) => r.columns[c]?.not_null),
  );
  if (other) {
    const named = written(other.columns.map((column) => ({ column })));
    return [{ ...said, remedy: `name another unique key in the policy: key: ${named}; or ${set}` }];
  }
  // None of a partitioned table can be unique without the columns it is partitioned by.
  if (r.kind === 'p') return [{ ...said, remedy: `${set} (fill the rows that have none first)` }];
  return [
    { ...said, remedy: `${set} where rows have none, name them by a column of their own: ${ownKey(r)}` },
  ];
}

/** A column that names every row, and how the policy says it. */
const ownKey = (r: Relation): string =>
  `ALTER TABLE ${quoted(r)} ADD COLUMN ${OWN_KEY} bigint GENERATED ALWAYS AS IDENTITY UNIQUE; and key: [{ column: '${OWN_KEY}' }] in the policy, with refersTo where rows refer to the old key`;
const OWN_KEY = 'lapse_key';

const unique = (r: Relation, key: readonly KeyColumn[]): Problem[] => {
  const columns = key.map((k) => k.column);
  const sorted = [...columns].sort().join('\0');
  if (r.indexes.some((i) => i.unique && i.partial === null && [...i.columns].sort().join('\0') === sorted)) {
    return [];
  }
  const list = columns.map(name).join(', ');
  return [
    {
      problem: `the key (${list}) of ${quoted(r)} is not unique: a receipt could not name a row`,
      remedy: createIndex(r, list, true),
    },
  ];
};

/** The walk goes from tenant to tenant by this column: twice the same one would be walked twice. */
function judgeTenantKey(catalog: Catalog): Problem[] {
  const { policy } = catalog;
  const tenants = policy.tenants!;
  const r = catalog.declared(1 + policy.dependants.length);
  if (!r) {
    return [
      {
        problem: `tenants.table ${tenants.table.schema}.${tenants.table.name} does not exist`,
        remedy: 'create it, or correct tenants.table in the policy',
      },
    ];
  }
  if (!(tenants.key.column in r.columns)) return missing(r, [tenants.key.column], 'tenants.key of ');
  const own = catalog.governed?.columns[tenants.column];
  const there = r.columns[tenants.key.column]!;
  const unlike =
    own && own.base_oid !== there.base_oid
      ? [
          {
            problem: `tenants.column ${name(tenants.column)} is ${own.type}, the tenants' key ${name(tenants.key.column)} is ${there.type}`,
            remedy: `give both the type ${there.type}, so that the index answers`,
          },
        ]
      : [];
  return [...typed(catalog, r, [tenants.key], 'tenants.key'), ...unique(r, [tenants.key]), ...unlike];
}
