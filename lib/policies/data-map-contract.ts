/**
 * The data map: for each table its decision, and for each column that holds personal data what an erasure does with it.
 * One line a table, so that a person reads a whole schema and a program adds a line without touching the others:
 *
 *   'public.sessions': { policy: 'sessions', restricted: { delete: ['user_id', 'token'] } },
 *   'public.users': { kept: 'while the account lasts', subject: 'user', confidential: { delete: ['email', 'name'] } },
 *   'public.invoices': { kept: 'tax law', confidential: { mask: { phone: null, email: 'hash' } }, impersonal: ['name'] },
 *
 * Checked when the process starts, as far as it can be without a database; lib/watch compares it with the catalog.
 */
import { z } from 'zod';
import { DataMapError } from '../platform/errors';
import type { TableName } from '../platform/sql';
import type { PermanentTable } from './contract';

/** How far a column's content may be known, from least to most sensitive. */
export const CLASSIFICATIONS = ['public', 'internal', 'confidential', 'restricted'] as const;
export type Classification = (typeof CLASSIFICATIONS)[number];

const column = z.string().min(1).max(63);
/** Read by an auditor: one word is not a ground. */
const words = z.string().min(8, 'say it in a few words: it is shown to the auditor as written');
const number = z.number().int().positive();

/**
 * When a retained value goes after all: with its row by the table's own policy, by an audited removal, or so long after
 * the instant in a column of the row.
 */
const End = z.union(
  [
    z.enum(['policy', 'removal']),
    z.strictObject({ days: number, after: column }),
    z.strictObject({ years: number, after: column }),
  ],
  { error: "must be 'policy', 'removal', { days, after } or { years, after }" },
);
const Retained = z.strictObject({ columns: z.array(column).min(1), ground: words, until: End });

/** What an erasure leaves in the column: nothing, a keyed hash of what was there, or always the same. */
const Mask = z.union([z.null(), z.literal('hash'), z.strictObject({ constant: z.string().max(200) })], {
  error: "must be null, 'hash' or { constant: 'text' }",
});

const Handled = z.strictObject({
  /** Goes with its row: an erasure deletes it. */
  delete: z.array(column).min(1).optional(),
  /** The row stays, without what identifies a person. */
  mask: z.record(column, Mask).optional(),
  /** Stays unchanged, on a stated ground, until a stated end. */
  retain: z.union([Retained, z.array(Retained).min(1)]).optional(),
});

/** Where a row names a subject without a foreign key: its id (`user`, `organization`) or one of its identifiers. */
const Mention = z.strictObject({
  column,
  /** Within a jsonb column, e.g. `$.customer.email`: a path of PostgreSQL (SQL/JSON). */
  path: z
    .string()
    .regex(/^\$[^\p{Cc}]*$/u, 'must be a path of PostgreSQL, e.g. "$.customer.email"')
    .max(500)
    .optional(),
  is: column,
});

/** Files of a subject by their names alone. */
const Files = z
  .string()
  .max(500)
  .regex(/^[^/].*\{id\}\/$/, 'must end in {id}/, e.g. "avatars/{id}/": the folder of one subject')
  .refine(
    (s) => !/[?#%\\\p{Cc}]|\/\/|(^|\/)\.{1,2}\//u.test(s),
    'must be a plain path: no ?, #, %, backslashes, dots as folders or empty folders',
  );

const DECISIONS = ['policy', 'permanent', 'kept', 'technical', 'undecided'] as const;

const Table = z.strictObject({
  /** The policy whose rows or dependants these are, by its name. */
  policy: z.string().min(1).optional(),
  /** Nothing may ever expire a row (P4): a registered permanent table by its name, or the ground. */
  permanent: z.union([z.string().regex(/^[a-z][a-z0-9-]*$/), words]).optional(),
  /** No clock ends it: as long as what it belongs to, on this ground. */
  kept: words.optional(),
  /** Data of no person, of no interest to retention: why. */
  technical: words.optional(),
  /** Seen, and waiting for a decision. */
  undecided: z.literal(true).optional(),
  /** Each row is a person, or a customer: where an erasure begins. */
  subject: z.enum(['user', 'organization']).optional(),
  /** Of a subject's table: columns by whose values other rows know it, e.g. its address. Never a subject's id. */
  identifiers: z.array(column).min(1).optional(),
  /** Of a subject's table: where the store keeps files of each, e.g. "avatars/{id}/". */
  files: z.array(Files).min(1).optional(),
  mentions: z.array(Mention).min(1).optional(),
  /** References by which a row points at another that an erasure deletes, although it is someone else's: it stays, without them. */
  detach: z.array(column).min(1).optional(),
  /** Names of its own triggers on DELETE or UPDATE that were reviewed and may stay. */
  knownTriggers: z.array(z.string()).min(1).optional(),
  public: Handled.optional(),
  internal: Handled.optional(),
  confidential: Handled.optional(),
  restricted: Handled.optional(),
  /** Columns that look personal but, after review, identify no person. */
  impersonal: z.array(column).min(1).optional(),
});
const Lines = z.record(z.string(), Table);
const LABEL = /^[^.]+\.[^.].*$/;

export type TableInput = z.input<typeof Table>;
export type DataMapInput = Readonly<Record<string, TableInput>>;

type End = z.output<typeof End>;
export type Handling =
  | { readonly kind: 'delete' }
  | { readonly kind: 'mask'; readonly leaves: z.output<typeof Mask> }
  | { readonly kind: 'retain'; readonly ground: string; readonly until: End };

export interface MappedColumn {
  readonly column: string;
  readonly classification: Classification;
  readonly handling: Handling;
}

/** `words`: the policy's name, the ground or the reason; null while undecided. */
export interface Decision {
  readonly kind: (typeof DECISIONS)[number];
  readonly words: string | null;
}

export type Mention = z.output<typeof Mention>;

export interface MappedTable {
  /** `schema.table`, as in receipts and holds. */
  readonly label: string;
  readonly table: TableName;
  readonly decision: Decision;
  readonly subject: 'user' | 'organization' | null;
  readonly identifiers: readonly string[];
  readonly files: readonly string[];
  readonly mentions: readonly Mention[];
  readonly detach: readonly string[];
  readonly knownTriggers: readonly string[];
  /** Personal data, and what an erasure does with each. */
  readonly columns: readonly MappedColumn[];
  readonly impersonal: readonly string[];
}
export type DataMap = readonly MappedTable[];

/** Checks the map. Throws DataMapError with every problem, each naming the table and its field. */
export function defineDataMap(input: DataMapInput): DataMap {
  const parsed = Lines.safeParse(input);
  if (!parsed.success) {
    throw new DataMapError(parsed.error.issues.map((i) => `${i.path.join('.') || 'data map'}: ${i.message}`));
  }
  const problems: string[] = [];
  const tables = Object.entries(parsed.data).map(([label, line]) => {
    if (!LABEL.test(label)) problems.push(`${label}: must be schema and table, e.g. 'public.users'`);
    problems.push(...decisionProblems(line).map((p) => `${label}${p}`));
    const mapped = readLine(label, line);
    problems.push(...columnProblems(mapped).map((p) => `${label}${p}`));
    return mapped;
  });
  problems.push(...mentionProblems(tables));
  if (problems.length > 0) throw new DataMapError(problems);
  return tables;
}

type Line = z.output<typeof Table>;

const decisionsOf = (line: Line) => DECISIONS.filter((d) => line[d] !== undefined);

function decisionProblems(line: Line): string[] {
  const made = decisionsOf(line);
  if (made.length === 1) return [];
  return made.length === 0
    ? [`: say one of ${DECISIONS.join(', ')}`]
    : [`.${made[1]}: the table is ${made[0]} already; one decision a table`];
}

function readLine(label: string, line: Line): MappedTable {
  const at = label.indexOf('.');
  const kind = decisionsOf(line)[0] ?? 'undecided';
  const said = line[kind];
  return {
    label,
    table: { schema: label.slice(0, at), name: label.slice(at + 1) },
    decision: { kind, words: typeof said === 'string' ? said : null },
    subject: line.subject ?? null,
    identifiers: line.identifiers ?? [],
    files: line.files ?? [],
    mentions: line.mentions ?? [],
    detach: line.detach ?? [],
    knownTriggers: line.knownTriggers ?? [],
    columns: CLASSIFICATIONS.flatMap((c) => readHandled(c, line[c])),
    impersonal: line.impersonal ?? [],
  };
}

function readHandled(classification: Classification, h: z.output<typeof Handled> = {}): MappedColumn[] {
  const retained = h.retain === undefined ? [] : Array.isArray(h.retain) ? h.retain : [h.retain];
  const handlings: [string, Handling][] = [
    ...(h.delete ?? []).map((c): [string, Handling] => [c, { kind: 'delete' }]),
    ...Object.entries(h.mask ?? {}).map(([c, leaves]): [string, Handling] => [c, { kind: 'mask', leaves }]),
    ...retained.flatMap(({ columns, ground, until }) =>
      columns.map((c): [string, Handling] => [c, { kind: 'retain', ground, until }]),
    ),
  ];
  return handlings.map(([c, handling]) => ({ column: c, classification, handling }));
}

/** What names a subject has to be known of one. */
function mentionProblems(tables: readonly MappedTable[]): string[] {
  const known = new Set(['user', 'organization', ...tables.flatMap((t) => t.identifiers)]);
  return tables.flatMap(({ label, subject, identifiers, files, mentions }) => [
    ...(subject === null && identifiers.length > 0
      ? [`${label}.identifiers: only a subject has identifiers; say subject: 'user' or 'organization'`]
      : []),
    ...(subject === null && files.length > 0
      ? [`${label}.files: only a subject has files by its id; say subject: 'user' or 'organization'`]
      : []),
    ...mentions
      .filter((m) => !known.has(m.is))
      .map((m) => `${label}.mentions: ${m.is} is no identifier of a subject, and not user or organization`),
  ]);
}

function columnProblems({ decision, columns, impersonal, detach }: MappedTable): string[] {
  const problems: string[] = [];
  for (const c of detach) {
    if (columns.some((x) => x.column === c))
      problems.push(
        `.detach: column ${c} has a handling already; a row that it leads to is theirs, or it is not`,
      );
  }
  const seen = new Set<string>();
  for (const c of [...columns.map((x) => x.column), ...impersonal]) {
    if (seen.has(c)) problems.push(`: column ${c} is named twice`);
    seen.add(c);
  }
  const going = columns.find((c) => c.handling.kind === 'delete');
  const staying = columns.find((c) => c.handling.kind !== 'delete');
  if (going && staying) {
    const { column: c, classification, handling } = staying;
    problems.push(
      `.${classification}.${handling.kind}: an erasure deletes the row with ${going.column}, so nothing of ${c} can stay; handle both alike`,
    );
  }
  if (going && decision.kind === 'permanent') {
    problems.push(
      `.${going.classification}.delete: rows of a permanent table never go; mask ${going.column}, or retain it with its ground`,
    );
  }
  for (const { column: c, classification, handling } of columns) {
    if (handling.kind !== 'retain') continue;
    if (handling.until === 'policy' && decision.kind !== 'policy') {
      problems.push(`.${classification}.retain.until: no policy deletes ${c}; state another end`);
    }
  }
  return problems;
}

/**
 * The tables that must never expire: the registered ones, and those that the map calls permanent. One list, so that the
 * register and the map cannot disagree. Throws DataMapError for a name that is not registered.
 */
export function permanentOf(map: DataMap, declared: readonly PermanentTable[]): PermanentTable[] {
  const problems: string[] = [];
  const added = map.flatMap(({ label, table, decision: { kind, words: said } }): PermanentTable[] => {
    const registered = declared.find((t) => t.table.schema === table.schema && t.table.name === table.name);
    if (registered && (kind !== 'permanent' || said !== registered.name)) {
      problems.push(`${label}: the table is registered as permanent, so say permanent: '${registered.name}'`);
    }
    if (registered || kind !== 'permanent' || said === null) return [];
    if (/^\S+$/.test(said)) problems.push(`${label}.permanent: no permanent table is called ${said}`);
    return [{ name: nameOf(table), description: said, justification: said, ground: said, table }];
  });
  if (problems.length > 0) throw new DataMapError(problems);
  return [...declared, ...added];
}

const nameOf = ({ schema, name }: TableName): string =>
  `${schema === 'public' ? '' : `${schema}-`}${name}`.toLowerCase().replace(/[^a-z0-9]+/g, '-');
