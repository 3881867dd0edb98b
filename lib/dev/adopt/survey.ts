/** Everything that is known of a database before a policy is thought of: the catalogs, and a bounded look into each table. */
import type { CatalogAnswer, ForeignKey, TableFacts } from './catalog';
import { readCatalog } from './catalog';
import { type Clock, clocksOf, epochsOf, isosOf } from './clocks';
import { type Subjects, statusOf, subjectsOf, technicalBecause } from './conventions';
import { type Personal, personalOf } from './personal';
import type { Reader } from './read-only';
import { type Sample, sampleOf, type TextShape } from './sample';

/** A column whose values name files. */
interface Files {
  readonly column: string;
  /** Of the store that Lapse deletes from; only a path, which may be one of it; else somewhere else. */
  readonly where: 'store' | 'path' | 'elsewhere';
  /** The one folder below which all of them lie. */
  readonly folder: string | null;
  readonly suffixed: boolean;
}

export interface Surveyed {
  readonly facts: TableFacts;
  /** `schema.name`, and without the schema where that is public. */
  readonly label: string;
  readonly technical: string | null;
  readonly clocks: readonly Clock[];
  readonly personal: readonly Personal[];
  readonly files: readonly Files[];
  readonly subjects: Subjects;
  readonly status: readonly string[];
  /** Null: nothing was looked at; a text says why it could not be read. */
  readonly sample: Sample | string | null;
  /** Estimated; null: unknown. */
  readonly rows: number | null;
}

export interface Survey {
  readonly catalog: CatalogAnswer;
  readonly tables: readonly Surveyed[];
  /** Foreign keys that point at a table, and those that start there. */
  pointingAt(table: TableFacts): readonly ForeignKey[];
  named(oid: string): TableFacts | undefined;
}

export interface SurveyOptions {
  /** Only these schemas; all when empty. */
  readonly schemas?: readonly string[];
  readonly onTable?: (done: number, all: number) => void;
}

export async function survey(reader: Reader, options: SurveyOptions = {}): Promise<Survey> {
  const catalog = await readCatalog(reader);
  const byOid = new Map(catalog.tables.map((t) => [t.oid, t]));
  const chosen = catalog.tables.filter(
    (t) => (options.schemas ?? []).length === 0 || options.schemas?.includes(t.schema),
  );
  const tables: Surveyed[] = [];
  for (const facts of chosen) {
    tables.push(await look(reader, catalog, facts, byOid));
    options.onTable?.(tables.length, chosen.length);
  }
  return {
    catalog,
    tables,
    pointingAt: (t) => catalog.references.filter((f) => f.to === t.oid),
    named: (oid) => byOid.get(oid),
  };
}

const labelOf = (t: Pick<TableFacts, 'schema' | 'name'>): string =>
  t.schema === 'public' ? t.name : `${t.schema}.${t.name}`;

async function look(
  reader: Reader,
  catalog: CatalogAnswer,
  facts: TableFacts,
  byOid: ReadonlyMap<string, TableFacts>,
): Promise<Surveyed> {
  const technical = technicalBecause(facts, catalog.supabase);
  const clocks = clocksOf(facts);
  const isTable = facts.kind === 'r' || facts.kind === 'p';
  const sample =
    technical === null && isTable
      ? await sampleOf(reader, facts, clocks, epochsOf(facts), isosOf(facts))
      : null;
  const texts = typeof sample === 'object' && sample !== null ? sample.texts : new Map<string, TextShape>();
  return {
    facts,
    label: labelOf(facts),
    technical,
    clocks,
    personal: isTable && technical === null ? personalOf(facts, texts) : [],
    files: filesOf(texts),
    subjects: subjectsOf(facts, catalog.references, (oid) => byOid.get(oid)?.name),
    status: statusOf(facts),
    sample,
    rows: rowsOf(facts, sample),
  };
}

/** Every second value at least: a note may quote an address. */
function filesOf(texts: ReadonlyMap<string, TextShape>): Files[] {
  return [...texts].flatMap(([column, s]): Files[] => {
    const half = s.values / 2;
    if (s.values === 0 || (s.blob < half && s.path < half && !isFileName(column, s, half))) return [];
    const where = s.blob >= half ? 'store' : s.path >= half ? 'path' : 'elsewhere';
    return [{ column, where, folder: s.folder, suffixed: s.suffixed === s.values }];
  });
}

const isFileName = (column: string, s: TextShape, half: number): boolean =>
  s.url >= half &&
  /file|attachment|document|image|picture|photo|avatar|video|audio|media|upload/i.test(column);

function rowsOf(facts: TableFacts, sample: Sample | string | null): number | null {
  if (typeof sample === 'object' && sample !== null && sample.whole) return sample.looked;
  return facts.rows;
}
