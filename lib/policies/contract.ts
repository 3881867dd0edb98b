/**
 * What a policy is: data, not code. A policy says what may go and when; lib/engine/statement turns it into SQL and
 * lib/engine/run runs it. Everything here is checked when the process starts, so that a policy that could
 * delete the wrong thing never gets as far as a database.
 *
 * SQL fragments (`where`, `tenants.label`) are written by the developer of the policy and see the governed
 * row as `t` (and the tenant's row as `o`); they are judged under the row's lock, and again on any new version.
 */
import { z } from 'zod';
import { PolicyError } from '../platform/errors';
import type { KeyColumn, TableName } from '../platform/sql';
import { Clock, clockProblems, isOneColumn, laterProblems } from './clocks';
import { contentProblems } from './content-problems';
import { treeProblems } from './hanging';
import { nextRun } from './next-run';
import { Notice, noticeProblems } from './notice';
import { Period } from './period';
import { KeepAtLeast, sparedProblems, Thin } from './spared';
import { StrategySchema, strategyOf } from './strategies';
import { identifier } from './strategies/column';
import { unknownFields } from './unknown-fields';

export { atOnce, days, forever, hours, Period } from './period';

/** A type name as PostgreSQL prints it; used in casts only. */
const typeName = z
  .string()
  .regex(
    /^("[^"]+"|[A-Za-z_][A-Za-z0-9_]*)(\.("[^"]+"|[A-Za-z_][A-Za-z0-9_]*))?( [a-z ]+)?(\(\d+(,\d+)?\))?$/,
    'must be a type name',
  );
/** One expression: no statement separator, no comment, no parameter of its own. */
const fragment = z
  .string()
  .min(1)
  .refine((s) => !/;|--|\/\*|\$\d/.test(s), 'must be one expression without ;, comments or $1');

const Table = z.object({ schema: identifier.default('public'), name: identifier });
const KeyOf = z.object({
  column: identifier,
  /** Without it, as the catalog says. One uuid that is declared as such takes half the room in a receipt. */
  type: typeName.optional(),
  /** Receipts keep keys for years: `false` says that a text key names no person (a cuid, a hash). */
  personal: z.literal(false).optional(),
});
/** Whether a type of this name holds text: that of an extension stands behind its schema, where that is not looked through. */
export const TEXT = /^(text|varchar|character|char|bpchar|name|(.*\.)?citext)\b/i;

const Scope = z
  .object({ organization: identifier.optional(), user: identifier.optional() })
  .describe('columns by which a legal hold or an erasure request finds the row');

/** The prefix of a column's files, as the store names them. */
const Prefix = z
  .string()
  .regex(/^[^/].*\/$/, 'must end in a slash, e.g. "artifacts/"')
  .refine(
    (s) => !/[?#%\\\p{Cc}]|^ |\/\/|(^|\/)\.{1,2}\//u.test(s),
    'must be a plain path: no ?, #, %, backslashes, dots as folders or empty folders',
  )
  .refine(
    (s) => !/^(lapse|archives)\//.test(s),
    'must not be below lapse/ or archives/: those files are Lapse’s own, and no row of yours names them',
  );

const FileColumn = z
  .object({
    /** Holds the blob's URL or pathname, or NULL. */
    column: identifier,
    /** Holds the file's size in bytes, when known. */
    bytes: identifier.optional(),
    /** `delete`: the blob goes once no live row refers to it. `keep`: it is never touched. */
    fate: z.enum(['delete', 'keep']),
    /**
     * Where the column's files lie. A file elsewhere is never deleted, whatever a row names; and every file below
     * it belongs to such columns: one that no row names is an orphan (reconciliation).
     */
    prefix: Prefix.optional(),
    /**
     * The store itself adds a random suffix to each of these names (addRandomSuffix), so none is ever written again:
     * names of that form are deleted a hundred a call, without looking at each.
     */
    suffixed: z.boolean().default(false),
    /** Other columns that may name the same blob; the file is deleted with its last reference. */
    sharedWith: z.array(z.object({ table: Table, column: identifier })).default([]),
  })
  .refine((f) => f.fate === 'keep' || f.prefix !== undefined, {
    path: ['prefix'],
    message: 'say where these files lie, e.g. "artifacts/": a file elsewhere is never deleted',
  });

const Dependant = z.object({
  table: Table,
  key: z.array(KeyOf).min(1),
  /** What it hangs on: another dependant whose rows go; the governed table unless given. */
  via: Table.optional(),
  /** Its columns that refer to a row there. */
  references: z.array(identifier).min(1),
  /** The columns there, in the order of `references`: those of any unique key; that table's key unless given. */
  refersTo: z.array(identifier).min(1).optional(),
  /** `false`: no foreign key says so; a row that is written while its parent goes stays behind. */
  foreignKey: z.literal(false).optional(),
  /**
   * `delete`: goes with the row. `keep`: stays (foreign key ON DELETE SET NULL). `set-null`: stays, and the batch itself
   * takes its reference away and names it in the receipt. `block`: keeps the row here.
   */
  fate: z.enum(['delete', 'keep', 'set-null', 'block']),
  /** Of `set-null`: which of `references` become null; all of them unless given. */
  clears: z.array(identifier).min(1).optional(),
  /** Of `set-null`: names of constraints on those columns that were looked at and allow a null. */
  knownConstraints: z.array(z.string()).optional(),
  scope: Scope.default({}),
  files: z.array(FileColumn).default([]),
  /** Names of its own triggers on DELETE (on UPDATE, for `keep` and `set-null`) that were reviewed and may stay. */
  knownTriggers: z.array(z.string()).optional(),
});

/** What a row refers to, e.g. a document's data: it goes when nothing refers to it any more. */
const Content = z.object({
  table: Table,
  key: z.array(KeyOf).min(1),
  /** Columns of the governed table that refer to its key, in the key's order; a list for each reference. */
  references: z.array(z.array(identifier).min(1)).default([]),
  /** The same of dependants that go: e.g. the address of each line of an order. */
  referredBy: z.array(z.object({ table: Table, columns: z.array(identifier).min(1) })).optional(),
  fate: z.literal('with-last-reference'),
  /** Every other table that refers to it, by a foreign key or not: while one of its rows does, it stays. */
  sharedWith: z.array(z.object({ table: Table, columns: z.array(identifier).min(1) })).default([]),
  scope: Scope.default({}),
  files: z.array(FileColumn).default([]),
  /** Names of its own triggers on DELETE that were reviewed and may stay. */
  knownTriggers: z.array(z.string()).optional(),
});

/** Consents are kept elsewhere: a row each time somebody gave one, with when it was withdrawn. */
const Consent = z.object({
  table: Table,
  /** Whose consent; of the same type as `of`. */
  subject: identifier,
  /** To what: the rows of this table are kept on that one. */
  purpose: z.object({
    column: identifier,
    is: z.string().regex(/^[\p{L}\p{N} _.:/-]{1,100}$/u, 'must be a plain word, e.g. "research"'),
  }),
  /** When it was withdrawn; null while it is in force. */
  withdrawnAt: identifier,
  /** The column of the governed table that names the subject; `scope.user` unless given. */
  of: identifier.optional(),
});

const Rule = z.object({
  label: z.string().regex(/^[a-z][a-z0-9_-]*$/, 'must be lower case, e.g. "free"'),
  keepFor: Period,
  /** Columns of the row that must equal these values; the index starts with them. */
  match: z.record(identifier, z.union([z.string(), z.number(), z.boolean()])).default({}),
});

/** Within four years of it every day of the calendar occurs. */
const ANY_DAY = new Date('2026-01-01T00:00:00Z');
const cron = z
  .string()
  .regex(/^(\S+ ){4}\S+$/, 'must have five fields')
  .refine(
    (s) => !/[A-Za-z]/.test(s),
    'must use numbers, not names of months or days: Vercel accepts no names',
  )
  .refine(
    (s) => /[A-Za-z]/.test(s) || nextRun(s, ANY_DAY) !== null,
    'never fires: the fields are minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-6',
  );

/** G2: a run with more candidates than any of these stops before its first delete and waits for an approval. */
const Guard = z.object({
  /** Rows in one run: enough for a night after a few missed ones, yet a mistake of that size can be survived. */
  rows: z.number().int().positive().default(100_000),
  /** Share of the table: retention takes a slice off the old end, not a quarter of everything. */
  share: z.number().positive().max(1).default(0.25),
  /** Times the median of the past runs: a wrong period shows as a jump long before it is a large share. */
  multiple: z.number().min(1).default(10),
});

/** How long one partition is at most. */
export const PARTITION_SPANS = ['day', 'week', 'month', 'quarter', 'year'] as const;
/** Whole partitions may go: it is partitioned by range of the clock. */
export const goesWhole = (policy: Pick<Policy, 'partitioned'>): boolean =>
  policy.partitioned !== undefined && policy.partitioned.by !== 'other';
const share = z.number().min(0).max(1);

/** M6: what the data itself must be like; a measurement beyond any of these is reported (lib/watch/quality). */
const Quality = z.object({
  /** Share of rows without a clock, which never expire; null where rows wait with an empty clock. */
  emptyClocks: share.nullable().default(0),
  /** Share of clocks ahead of now by more than `aheadSeconds`: clocks of servers differ by less. 1 where `clock.ahead` says that it lies ahead. */
  futureClocks: share.default(0),
  aheadSeconds: z.number().int().nonnegative().default(300),
  /** Columns in which no two rows may agree, beyond the key. */
  unique: z.array(z.array(identifier).min(1)).default([]),
  /** References of the table that no foreign key guards, beyond those of `dependants`. */
  references: z
    .array(z.object({ columns: z.array(identifier).min(1), table: Table, key: z.array(identifier).min(1) }))
    .default([]),
  /** Share of references that lead nowhere. */
  orphans: share.default(0),
});

export const PolicySchema = z.object({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/, 'must be lower case with dashes: it is the route and the file name'),
  description: z.string().min(10),
  /** Why this long, and the legal ground: shown to the compliance officer as written. */
  justification: z.string().min(10),
  ground: z.string().min(3),
  /** UTC. `resume` is a second, later entry that finishes an unfinished pass. */
  schedule: z.object({ run: cron, resume: cron.optional() }),
  /** M4: a run is expected to be finished within this many seconds. */
  allowedSeconds: z.number().int().positive().max(780).default(240),
  /** M4: how late a run may begin; without it, half of the schedule's interval, two hours at most. */
  allowedLatenessSeconds: z.number().int().min(60).optional(),
  table: Table,
  key: z.array(KeyOf).min(1),
  clock: Clock,
  strategy: StrategySchema.default({ kind: 'delete' }),
  /** Checked in addition to the rule: a row for which it is not true stays. */
  where: fragment.optional(),
  /** An index has only rows for which `where` is true, and is walked by: other rows are not looked at, and not counted as kept. */
  whereIndexed: z.literal(true).optional(),
  /**
   * Tables read by functions that `where` or the label calls, which the preflight cannot look into: each needs the gate
   * trigger. `[]` says that they read none. Tables the fragments ask themselves need not be named.
   */
  judgedBy: z.array(Table).optional(),
  rules: z.array(Rule).min(1),
  /** The newest rows of each group stay, whatever their age: e.g. of each document the last five versions. */
  keepAtLeast: KeepAtLeast.optional(),
  /** What is past its period is thinned out: one row of each day, week, month … stays, for as long as each tier says. */
  thin: Thin.optional(),
  /**
   * The table is partitioned by range of the clock, a partition no longer than this. One that lies wholly before
   * the cutoff and whose every row may go is dropped; the rows of the others are walked as in any table.
   * `other`: it is partitioned by another column, by list, by hash, or nested; no partition is dropped.
   */
  partitioned: z.object({ by: z.enum([...PARTITION_SPANS, 'other']) }).optional(),
  /** With tenants, `label` names each tenant's rule; a label no rule has keeps its rows and is reported. */
  tenants: z
    .object({
      table: Table,
      key: KeyOf.required({ type: true }),
      /** The governed table's column that names the tenant. */
      column: identifier,
      label: fragment,
      /** As the policy's own `judgedBy`. */
      judgedBy: z.array(Table).default([]),
    })
    .optional(),
  scope: Scope.default({}),
  /** The rows are kept on consent: whose was withdrawn, and not given again, goes whatever its age (lib/policies/consent.ts). */
  consent: Consent.optional(),
  dependants: z.array(Dependant).default([]),
  contents: z.array(Content).optional(),
  files: z.array(FileColumn).default([]),
  /** G9: who is told before rows go, and whether they stay until then. */
  notice: Notice.optional(),
  guard: Guard.prefault({}),
  /** R10: a new version deletes 10, then 100, then 1000 rows, then all. `false`: all from its first run. */
  rollout: z.boolean().default(true),
  quality: Quality.prefault({}),
  /** Names of this table's own triggers on DELETE (on UPDATE, for a soft delete) that were reviewed and may stay. */
  knownTriggers: z.array(z.string()).default([]),
});

export type PolicyInput = z.input<typeof PolicySchema>;
export type Policy = z.output<typeof PolicySchema>;
export type Rule = Policy['rules'][number];
export type Dependant = Policy['dependants'][number];
export type Content = NonNullable<Policy['contents']>[number];
export type FileColumn = Policy['files'][number];

/** A table that must never expire (P4). */
export interface PermanentTable {
  readonly name: string;
  readonly description: string;
  readonly justification: string;
  readonly ground: string;
  readonly table: TableName;
}

/** Checks one declaration. Throws PolicyError with every problem, each naming its field. */
export function definePolicy(input: PolicyInput): Policy {
  const parsed = PolicySchema.safeParse(input);
  if (!parsed.success) {
    throw new PolicyError(
      String(input?.name ?? '(unnamed)'),
      parsed.error.issues.map((i) => `${i.path.join('.') || 'policy'}: ${i.message}`),
    );
  }
  const p = withAhead(parsed.data, input);
  const problems = unknownFields(input, parsed.data).map((field) => `${field}: is no field of a policy`);
  const labels = p.rules.map((r) => r.label);
  if (new Set(labels).size !== labels.length) problems.push('rules: two rules have the same label');
  if (p.tenants && p.rules.some((r) => Object.keys(r.match).length > 0)) {
    problems.push('rules: with tenants a rule is chosen by the label, not by match');
  }
  if (!p.tenants && p.rules.length > 1 && p.rules.some((r) => Object.keys(r.match).length === 0)) {
    problems.push('rules: with several rules each needs a match, or a row would have two periods');
  }
  const columns = p.rules.map((r) => Object.keys(r.match).sort().join());
  const values = p.rules.map((r) => JSON.stringify(Object.entries(r.match).sort()));
  if (!p.tenants && (new Set(columns).size > 1 || new Set(values).size < values.length)) {
    problems.push(
      'rules: every match must name the same columns with different values, so that one row has one rule',
    );
  }
  problems.push(...personalKeys('key', p.key));
  for (const [i, d] of p.dependants.entries()) {
    problems.push(...personalKeys(`dependants.${i}.key`, d.key));
    problems.push(...detachProblems(p, d, `dependants.${i}`));
  }
  const { stays } = strategyOf(p);
  problems.push(...treeProblems(p, { stays: stays !== null }));
  for (const [i, r] of p.quality.references.entries()) {
    if (r.columns.length !== r.key.length) {
      problems.push(`quality.references.${i}.key: must list as many columns as the reference has`);
    }
  }
  problems.push(...strategyOf(p).problems(p));
  problems.push(...clockProblems(p.clock), ...laterProblems(p.clock, p.key));
  problems.push(...atOnceBehind(p), ...elsewhere(p), ...below(p), ...walkedByWhere(p));
  problems.push(...noticeProblems(p), ...sparedProblems(p), ...contentProblems(p, strategyOf(p)));
  if (goesWhole(p)) problems.push(...unfitForPartitions(p));
  if (p.consent && !p.consent.of && !p.scope.user) {
    problems.push('consent.of: say which column of the table names the person, or scope.user');
  }
  if (p.consent && p.partitioned) {
    problems.push('consent: of a partitioned table no single rows are looked for; let an erasure reach them');
  }
  if (problems.length > 0) throw new PolicyError(p.name, problems);
  return p;
}

/** What only a dependant has whose reference is taken away, and when it cannot be. */
function detachProblems(policy: Policy, d: Dependant, field: string): string[] {
  if (d.fate !== 'set-null') {
    return [
      ...(d.clears ? [`${field}.clears: only of a dependant with fate 'set-null'`] : []),
      ...(d.knownConstraints ? [`${field}.knownConstraints: only of a dependant with fate 'set-null'`] : []),
    ];
  }
  const others = (d.clears ?? []).filter((c) => !d.references.includes(c));
  return [
    ...others.map((c) => `${field}.clears: ${c} is not one of its references`),
    ...(goesWhole(policy)
      ? [
          `${field}.fate: a partition is dropped whole, without a look at who refers to its rows; declare 'keep' or 'block'`,
        ]
      : []),
  ];
}

/** Rows whose clock is in another table are walked in the order of their key, with one period for each rule. */
const elsewhere = ({ clock, tenants, partitioned, notice, contents }: Policy): string[] =>
  clock.in
    ? [tenants && 'tenants', partitioned && 'partitioned', notice && 'notice', contents && 'contents']
        .filter((x) => typeof x === 'string')
        .map((what) => `clock.in: not together with ${what}; copy the date into a column of the row`)
    : [];

/** A notice looks ahead, and a table of many parts is walked part by part: both read by the clock alone. */
function walkedByWhere({ whereIndexed, where, partitioned, notice }: Policy): string[] {
  if (!whereIndexed) return [];
  return [
    ...(where === undefined ? ['whereIndexed: says which index is walked for where, and there is none'] : []),
    ...[partitioned && 'partitioned', notice && 'notice']
      .filter((x) => typeof x === 'string')
      .map((what) => `whereIndexed: not together with ${what}`),
  ];
}

/** What waits for a row whose date another table moves cannot be reckoned from the row's own. */
const below = ({ clock, partitioned, notice }: Policy): string[] =>
  clock.orLaterIn
    ? [partitioned && 'partitioned', notice && 'notice']
        .filter((x) => typeof x === 'string')
        .map(
          (what) => `clock.orLaterIn: not together with ${what}; keep the latest date in a column of the row`,
        )
    : [];

/** What counts from when a row was made, and is kept for no time at all, would take every row there is. */
const atOnceBehind = (policy: Policy): string[] =>
  policy.clock.ahead
    ? []
    : policy.rules.flatMap((r, i) =>
        r.keepFor.seconds === 0
          ? [
              `rules.${i}.keepFor: only a clock that lies ahead, as an expiry does, may be kept for no time: say so in clock.ahead: true`,
            ]
          : [],
      );

/** A partition is dropped as a whole: no condition may decide about single rows except those the database itself checks. */
function unfitForPartitions(policy: Policy): string[] {
  const perRow = [
    policy.tenants && 'tenants',
    policy.where && 'where',
    strategyOf(policy).stays && strategyOf(policy).words.noun,
    policy.rules.some((r) => Object.keys(r.match).length > 0) && 'match',
  ].filter((x) => typeof x === 'string');
  const problems = perRow.map(
    (what) => `partitioned: a partition is dropped whole, so ${what} cannot spare some of its rows`,
  );
  if (!isOneColumn(policy.clock) || ['epoch', 'iso'].includes(policy.clock.type)) {
    problems.push(
      'partitioned: a partition is dropped only by a clock of one column of type timestamptz, timestamp or date',
    );
  }
  if (!policy.key.some((k) => k.column === policy.clock.column)) {
    problems.push(
      `partitioned: the key of a partitioned table includes ${policy.clock.column}, or it cannot be unique`,
    );
  }
  return problems;
}

/** A receipt is never changed: an e-mail address as a key would stay in it for years. */
function personalKeys(field: string, key: readonly KeyColumn[]): string[] {
  return key.flatMap((k, i) =>
    k.type !== undefined && TEXT.test(k.type) && k.personal !== false
      ? [
          `${field}.${i}.personal: keys are written into receipts, which are never changed; where ${k.column} holds no name, address or other personal data say personal: false, else name another unique key`,
        ]
      : [],
  );
}

/** A clock that lies ahead is no fault of the data. */
const withAhead = (policy: Policy, { quality }: PolicyInput): Policy =>
  policy.clock.ahead && quality?.futureClocks === undefined
    ? { ...policy, quality: { ...policy.quality, futureClocks: 1 } }
    : policy;

export function definePermanentTable(t: PermanentTable): PermanentTable {
  return t;
}
