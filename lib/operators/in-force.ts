/**
 * What holds, extensions and overrides keep, judged as a batch would: by the exact text. One that keeps nothing
 * although rows have the same value in another spelling is named with the spelling that would; such are left
 * from versions that stored what was typed, and are never changed here: an operator sets them again.
 */
import { z } from 'zod';
import { type Query, query, rows } from '../platform/query';
import { askOne } from '../platform/session';
import { constant, type Sql, sql } from '../platform/sql';
import type { Services } from '../services';
import { type Counted, type Cover, count, coverOf } from './coverage';
import { type Spelled, spell } from './spelling';
import { extensionTargets, itemTargets, scopeTargets, type Target, tenantTarget } from './targets';

export type Kind = 'holds' | 'extensions' | 'overrides';

export interface InForce {
  readonly covers: readonly Cover[];
  /** `misspelled`: rows have this value and print it otherwise; `none`: no row has it, or no policy looks there. */
  readonly matches: 'some' | 'unknown' | 'none' | 'misspelled';
  /** What those rows print: set it again, and it is stored so. */
  readonly printedAs: readonly string[];
}

type Asked = Pick<Services, 'database' | 'policies'>;

const Hold = z.object({
  scope: z.enum(['organization', 'user', 'item']),
  subject: z.string(),
  table_name: z.string().nullable(),
});
const Extension = z.object({ table_name: z.string(), row_key: z.string() });
const Override = z.object({ policy: z.string(), tenant: z.string() });

interface Stored {
  readonly subject: string;
  readonly targets: readonly Target[];
  /** Entries that a batch asks alike. */
  readonly among: string;
}

/** Entries that are asked alike look in the same tables: these are found once for all of them. */
function allStored({ policies }: Asked, kind: Kind, entries: readonly unknown[]): Stored[] {
  const found = new Map<string, readonly Target[]>();
  return entries.map((entry) => {
    const { subject, among, targets } = storedAs(policies, kind, entry);
    const own = found.get(among) ?? orNone(targets);
    found.set(among, own);
    return { subject, among, targets: own };
  });
}

interface Looked extends Omit<Stored, 'targets'> {
  readonly targets: () => Target[];
}

function storedAs(policies: Asked['policies'], kind: Kind, entry: unknown): Looked {
  if (kind === 'holds') {
    const { scope, subject, table_name: label } = Hold.parse(entry);
    const targets = () =>
      scope === 'item' ? itemTargets(policies, label ?? '') : scopeTargets(policies, scope);
    return { subject, targets, among: `${scope} ${label}` };
  }
  if (kind === 'extensions') {
    const { table_name: label, row_key: subject } = Extension.parse(entry);
    return { subject, targets: () => extensionTargets(policies, label), among: label };
  }
  const { policy, tenant } = Override.parse(entry);
  return { subject: tenant, targets: () => [tenantTarget(policies, policy)], among: policy };
}

/** A table or policy that is not there any more. */
function orNone(targets: () => Target[]): Target[] {
  try {
    return targets();
  } catch {
    return [];
  }
}

/** One answer an entry, in their order. */
export async function inForce(asked: Asked, kind: Kind, entries: readonly unknown[]): Promise<InForce[]> {
  const all = allStored(asked, kind, entries);
  const counted = await countedOf(asked, all);
  const known = new Set(all.map((s) => JSON.stringify([s.among, s.subject])));
  return all.map((s, i) => {
    const own = counted[i]!;
    const covers = coverOf(own, new Set([s.subject]));
    const printedAs = [...new Set(own.flatMap((c) => [...(c.forms?.keys() ?? [])]))].filter(
      (form) => !known.has(JSON.stringify([s.among, form])),
    );
    return { covers, ...judged(covers, printedAs) };
  });
}

/** What one entry covers, and its subject as each table has it. */
export async function coveredBy(
  asked: Asked,
  kind: Kind,
  entry: unknown,
): Promise<{ readonly covers: readonly Cover[]; readonly spelled: readonly Spelled[] }> {
  const one = allStored(asked, kind, [entry])[0]!;
  const [counted = []] = await countedOf(asked, [one]);
  return { covers: coverOf(counted, new Set([one.subject])), spelled: counted.map((c) => c.spelled) };
}

/** Of each entry the rows of every table that it is looked for in. */
async function countedOf(asked: Asked, all: readonly Stored[]): Promise<Counted[][]> {
  const pairs = all.flatMap((s) =>
    s.targets.map((target) => ({ s, target, parts: partsOf(s.subject, target) })),
  );
  const spelled = await spell(asked, pairs);
  const possible = spelled.filter((s) => s.subject !== null);
  const counted = await count(asked, possible);
  const found = new Map(possible.map((s, i) => [s, counted[i]!]));
  const each = new Map(all.map((s) => [s, [] as Counted[]]));
  for (const [i, { s }] of pairs.entries()) each.get(s)!.push(found.get(spelled[i]!) ?? none(spelled[i]!));
  return all.map((s) => each.get(s)!);
}

const none = (spelled: Spelled): Counted => ({
  spelled,
  forms: new Map<string, number>(),
});

function judged(covers: readonly Cover[], printedAs: string[]): Pick<InForce, 'matches' | 'printedAs'> {
  if (covers.some((c) => c.rows !== 0 && c.rows !== 'unknown')) return { matches: 'some', printedAs: [] };
  if (printedAs.length > 0) return { matches: 'misspelled', printedAs };
  return { matches: covers.some((c) => c.rows === 'unknown') ? 'unknown' : 'none', printedAs: [] };
}

/** As it is stored: plainly, or of several columns as a JSON array. */
function partsOf(subject: string, target: Target): readonly string[] {
  if (target.columns.length === 1) return [subject];
  try {
    return z
      .array(z.union([z.string(), z.number().transform(String), z.boolean().transform(String)]))
      .parse(JSON.parse(subject));
  } catch {
    return [subject];
  }
}

const IN_FORCE: Record<Kind, Sql> = {
  holds: sql`select id::text, id as position, scope, subject, table_name, placed_by as by, reason from retention.hold where released_at is null`,
  extensions: sql`select table_name || ' ' || row_key as id, id as position, table_name, row_key, extended_by as by, reason from retention.extension
    where keep_until > clock_timestamp()`,
  overrides: sql`select policy || ' ' || tenant as id, md5(policy || ' ' || tenant)::uuid as position, policy, tenant, set_by as by, reason
    from retention.period_override`,
};
/** With the columns of its kind, which `stored` reads. */
const Entry = z.looseObject({ id: z.string(), position: z.string(), by: z.string(), reason: z.string() });
type Entry = z.output<typeof Entry>;

const pageAfter = (kind: Kind, after: string): Query<Entry[]> =>
  query(
    sql`select * from (${IN_FORCE[kind]}) x where position > ${after}::uuid order by position limit ${constant(PAGE)}`,
    rows(Entry),
  );
const PAGE = 200;
const STATEMENT_MS = 10_000;

export interface Finding extends InForce {
  readonly kind: Kind;
  readonly id: string;
  readonly by: string;
  readonly reason: string;
}

/** Everything in force, page by page. */
export async function* everythingInForce(asked: Asked): AsyncGenerator<Finding> {
  for (const kind of ['holds', 'extensions', 'overrides'] as const) {
    let after = '00000000-0000-0000-0000-000000000000';
    for (;;) {
      const page = await askOne(asked.database, pageAfter(kind, after), {
        statementMs: STATEMENT_MS,
        readOnly: true,
      });
      const found = await inForce(asked, kind, page);
      for (const [i, { id, by, reason }] of page.entries()) yield { kind, id, by, reason, ...found[i]! };
      const last = page.at(-1);
      if (!last || page.length < PAGE) break;
      after = last.position;
    }
  }
}

/** One line for a person. */
export function inWords(finding: Finding): string {
  const rows = finding.covers.map((c) => `${c.table}: ${c.rows}`);
  const where = [...new Set(rows)].join(', ') || `no policy looks there`;
  const what = { holds: 'hold', extensions: 'extension', overrides: 'override' }[finding.kind];
  const how =
    finding.matches === 'misspelled'
      ? `KEEPS NOTHING: rows print this as ${finding.printedAs.map((p) => JSON.stringify(p)).join(', ')}; set it again`
      : { some: 'keeps', none: 'matches nothing now', unknown: 'could not be counted' }[finding.matches];
  return `${what} ${finding.id} by ${finding.by}: ${how} (${where})`;
}
