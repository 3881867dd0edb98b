/**
 * The independent check of an erasure: by other code than carried it out, from other sources. What it finds keeps the request
 * open, and people are told; what the map retains is listed with its rows. It is resumed where a call had no more time.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { reportIncidents } from '../../platform/alerts/incidents';
import { BlobError } from '../../platform/errors';
import { tableLabel } from '../../platform/sql';
import type { MappedTable } from '../../policies/data-map-contract';
import type { Services } from '../../services';
import { endingsOf } from '../ends';
import type { Hashes } from '../graph/identifiers';
import type { Subject } from '../subject';
import { inFolders, lookAtFiles } from './files';
import { isDistinctive, notAmong, type Page, type Part, partsOf, readPage } from './tables';

const Counts = z.record(z.string(), z.record(z.string(), z.number()));
const count = z.number().int().nonnegative();
const READABLE =
  'grant select on it, and usage on its schema, to lapse_app; for row-level security: alter role <the login in DATABASE_URL> bypassrls';
/** As many tables as a sentence holds. */
const MOST_NAMED = 5;

/** How far it is, and what it has seen; kept with the request. */
export const Checked = z.object({
  /** The next part and block; null: every table was read. */
  next: z.object({ part: count, block: count }).nullable(),
  /** A hash of the parts there were: with another one their numbers mean others. */
  parts: z.string().default(''),
  /** The last entry of the outbox that was looked at; null: all were. */
  entry: z.string().nullable(),
  tables: count,
  rows: count,
  files: count,
  /** Files that the store has not confirmed as gone. */
  filesOpen: count,
  /** Files that are there. */
  filesFound: count,
  /** Rows of the subject by table and column: left behind, and retained. */
  found: Counts,
  retained: Counts,
  /** Tables, and partitions, that could not be read. */
  unread: z.array(z.string()),
  /** Tables that are in neither the map nor a policy, or lie elsewhere: what they hold is not known. */
  notRead: z.array(z.string()).default([]),
  /** When the first of what is retained comes to its end; null: nothing does by itself. */
  until: z.string().nullable().default(null),
});
export type Checked = z.infer<typeof Checked>;

const BEGIN: Checked = {
  next: { part: 0, block: 0 },
  parts: '',
  entry: '0',
  tables: 0,
  rows: 0,
  files: 0,
  filesOpen: 0,
  filesFound: 0,
  found: {},
  retained: {},
  unread: [],
  notRead: [],
  until: null,
};

export interface Checking {
  readonly erasure: string;
  readonly subject: Subject;
  readonly identifiers: Hashes;
  readonly prefixes: readonly string[];
  /** As far as an earlier call came. */
  readonly sofar: Checked | null;
  inTime(): boolean;
}

export const isComplete = ({ next, entry }: Checked): boolean => next === null && entry === null;
export const isClean = (c: Checked): boolean =>
  isComplete(c) &&
  c.filesFound + c.filesOpen === 0 &&
  Object.keys(c.found).length === 0 &&
  c.unread.length === 0;

/** Something is left behind, or cannot be looked at: a person has to see to it. */
export const hasFound = (c: Checked): boolean =>
  c.filesFound > 0 || Object.keys(c.found).length > 0 || c.unread.length > 0;

/** Reads on from where it was. */
export async function check(services: Services, checking: Checking): Promise<Checked> {
  const tables = await readTables(services, checking, checking.sofar ?? BEGIN);
  if (tables.next !== null || tables.entry === null) return tables;
  try {
    return await readStore(services, checking, tables, tables.entry);
  } catch (error) {
    // Nobody can say what it has: not complete, so the next call asks it again.
    if (!(error instanceof BlobError)) throw error;
    services.log.warn({ event: 'erasure.store_away', erasure: checking.erasure }, error.message);
    return tables;
  }
}

async function readStore(
  services: Services,
  { erasure, prefixes, inTime }: Checking,
  tables: Checked,
  entry: string,
): Promise<Checked> {
  const { looked, found, open, after } = await lookAtFiles(services, erasure, entry, inTime);
  const folders = after === null ? await inFolders(services, prefixes) : 0;
  const filesOpen = tables.filesOpen + open;
  return {
    ...tables,
    entry: after,
    files: tables.files + looked,
    filesOpen,
    // What lies in a folder while the outbox is not empty may be what it is about to delete.
    filesFound: tables.filesFound + found + (filesOpen === 0 ? folders : 0),
  };
}

async function readTables(services: Services, checking: Checking, begin: Checked): Promise<Checked> {
  const { subject, identifiers, inTime } = checking;
  const lines = new Map(services.dataMap.map((line) => [line.label, line]));
  const subjects = services.dataMap.filter((l) => l.subject === subject.scope).map((l) => l.label);
  const governed = services.policies.flatMap((p) => [p, ...p.dependants]).map((p) => tableLabel(p.table));
  const parts = await partsOf(services, [...new Set([...lines.keys(), ...governed])], subjects);
  const sought = { subject, hashes: identifiers, secrets: services.settings.rightsKeys };
  const asOf = services.clock().toISOString();
  const names = JSON.stringify(parts.map((p) => [p.label, p.schema, p.name]));
  const digest = createHash('sha256').update(names).digest('hex');
  // A table or a partition came or went since: read all of it again, rather than pass one by.
  let checked = begin.next === null || begin.parts === digest ? begin : { ...BEGIN, parts: digest };
  while (checked.next !== null && checked.next.part < parts.length && inTime()) {
    const part = parts[checked.next.part]!;
    const line = lines.get(part.label);
    if (!part.may_read) {
      checked = {
        ...checked,
        next: nextPart(checked.next),
        unread: [...checked.unread, `${part.schema}.${part.name}`],
      };
      continue;
    }
    const columns = {
      impersonal: line?.impersonal ?? [],
      naming: namingIn(services, part, line, subject),
      endings: endingsOf(line?.columns ?? [], (column) => part.instants.includes(column)),
      asOf,
    };
    const { page, next } = await readPage(services, part, checked.next.block, sought, columns);
    const [found, retained] = apart(page, staying(part, line, subject));
    checked = {
      ...checked,
      next: next === null ? nextPart(checked.next) : { ...checked.next, block: next },
      tables: checked.tables + (next === null ? 1 : 0),
      rows: checked.rows + page.rows,
      found: added(checked.found, part.label, found),
      retained: added(checked.retained, part.label, retained),
      until: earlier(checked.until, page.until),
    };
  }
  const isThrough = checked.next !== null && checked.next.part >= parts.length;
  return isThrough ? { ...checked, next: null, notRead: await notAmong(services, parts) } : checked;
}

const nextPart = ({ part }: { part: number }) => ({ part: part + 1, block: 0 });

/** By a policy, a mention or a foreign key; of a subject's table, its key. */
function namingIn(
  { policies }: Services,
  part: Part,
  line: MappedTable | undefined,
  { scope }: Subject,
): string[] {
  const declared = policies
    .flatMap((p) => [p, ...p.dependants])
    .filter((p) => tableLabel(p.table) === part.label)
    .flatMap((p) => p.scope[scope] ?? []);
  const mentioned = (line?.mentions ?? []).filter((m) => m.is === scope && !m.path).map((m) => m.column);
  const own = line?.subject === scope ? part.key : [];
  return [...new Set([...part.naming, ...declared, ...mentioned, ...own])];
}

type Found = Readonly<Record<string, number>>;

/** What the map retains: columns by name, and the key of a subject's own row that stays. */
function staying(part: Part, line: MappedTable | undefined, { scope }: Subject): Set<string> {
  const columns = line?.columns ?? [];
  const goes = columns.some((c) => c.handling.kind === 'delete');
  return new Set([
    ...columns.filter((c) => c.handling.kind === 'retain').map((c) => c.column),
    ...(line?.subject === scope && !goes ? part.key : []),
  ]);
}

/** What was left behind, and what is retained. */
function apart({ found, over }: Page, retained: ReadonlySet<string>): [Found, Found] {
  const of = (n: (column: string) => number) =>
    Object.fromEntries(Object.keys(found).flatMap((c) => (n(c) > 0 ? [[c, n(c)]] : [])));
  const left = (c: string) => (retained.has(c) ? (over[c] ?? 0) : found[c]!);
  return [of(left), of((c) => found[c]! - left(c))];
}

/** Of two instants as PostgreSQL prints them in UTC, which are in the order of their letters. */
const earlier = (a: string | null, b: string | null): string | null =>
  a === null || (b !== null && b < a) ? b : a;

function added(all: Checked['found'], label: string, more: Found): Checked['found'] {
  if (Object.keys(more).length === 0) return all;
  const before = all[label] ?? {};
  const sums = Object.entries(more).map(([column, n]) => [column, (before[column] ?? 0) + n] as const);
  return { ...all, [label]: { ...before, ...Object.fromEntries(sums) } };
}

/** `text`: whatever a row holds was looked through. `columns`: the id is too short for that. */
export const methodOf = (subject: Subject): 'text' | 'columns' =>
  isDistinctive(subject) ? 'text' : 'columns';

const causeOf = (erasure: string): string => `erasure.check:${erasure}`;

/** Tells people of what was left behind, once; and that it is over. */
export async function tellOfCheck(services: Services, erasure: string, checked: Checked): Promise<void> {
  if (isClean(checked)) return reportIncidents(services, { over: [causeOf(erasure)] });
  const message = `request ${erasure} to erase: the check found ${foundInWords(checked)}; it stays open`;
  await reportIncidents(services, { wrong: [{ cause: causeOf(erasure), severity: 'critical', message }] });
}

/** Tables, columns and counts, no values. */
export function foundInWords({ found, filesFound, unread }: Checked): string {
  const rows = Object.entries(found).flatMap(([table, columns]) =>
    Object.entries(columns).map(([column, n]) => `${n} rows with the subject in ${table}.${column}`),
  );
  return [
    ...rows,
    ...(filesFound > 0 ? [`${filesFound} files in the store`] : []),
    ...[...new Set(unread)].map((table) => `${table}, which the role may not read (${READABLE})`),
  ].join(', ');
}

/** Where nobody looked. The certificate has all of them. */
export function notReadInWords({ notRead }: Pick<Checked, 'notRead'>): string {
  const more = notRead.length > MOST_NAMED ? ` and ${notRead.length - MOST_NAMED} more` : '';
  return `what may stand in tables that were not read, because neither the data map nor a policy has them or their rows lie elsewhere (${notRead.slice(0, MOST_NAMED).join(', ')}${more})`;
}
