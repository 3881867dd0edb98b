/**
 * What archives still hold about a subject: rows that were deleted and can be restored, with what went along with them. Each
 * archive is read as it lies in the store; what is another person's is left out, as of the tables.
 */
import { z } from 'zod';
import { type Hanging, idOf, withBelow } from '../../engine/archive/graph';
import { aboveOf, type Line } from '../../engine/archive/transform';
import type { Manifest, Part } from '../../files/archive/manifest';
import { linesOf, readManifest } from '../../files/archive/read';
import type { ArchiveStore } from '../../files/archive/store';
import { query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { sql } from '../../platform/sql';
import type { Services } from '../../services';
import type { Subject } from '../subject';

const LIMITS = { statementMs: 10_000, readOnly: true };

const Archive = z.object({ prefix: z.string(), sha256: z.string() });
type Archive = z.output<typeof Archive>;

interface Read extends Archive {
  readonly manifest: Manifest;
}

export interface Archived {
  /** A table a name, whose lines come from every archive of it. */
  readonly tables: readonly {
    readonly table: string;
    readonly columns: Part['columns'];
    readonly lines: () => AsyncGenerator<string>;
  }[];
  /** Copies of files, where they lie now. */
  readonly files: () => AsyncGenerator<string>;
}

/** Throws ArchiveError where an archive is not what was written: then no copy is complete. */
export async function archivedAbout(
  services: Services,
  store: ArchiveStore,
  subject: Subject,
  inTime: () => void,
): Promise<Archived> {
  const found = await askOne(services.database, archivesOf(subject), LIMITS);
  const read: Read[] = [];
  for (const archive of found) {
    inTime();
    read.push({ ...archive, manifest: await readManifest(store, archive.prefix, archive.sha256) });
  }
  const labels = [...new Set(read.flatMap(({ manifest }) => manifest.tables.map((t) => t.table)))];
  const all = async function* () {
    for (const archive of read) {
      inTime();
      for await (const one of theirs(store, archive, subject)) yield { ...one, archive };
    }
  };
  return {
    tables: labels.map((table) => ({
      table: `archived ${table}`,
      columns: read.flatMap(({ manifest }) => manifest.tables).find((t) => t.table === table)!.columns,
      lines: async function* () {
        for await (const { part, line } of all()) if (part.table === table) yield written(part, line);
      },
    })),
    files: async function* () {
      for await (const { line, archive } of all()) {
        for (const { from, path } of archive.manifest.files)
          if (line.f?.includes(from)) yield archive.prefix + path;
      }
    },
  };
}

const archivesOf = ({ scope, id }: Subject) =>
  query(
    sql`select a.prefix, a.manifest_sha256 as sha256 from retention.archive_subject s join retention.archive a on a.id = s.archive
      where s.scope = ${scope} and s.subject = ${id} and s.erased_at is null and a.state = 'kept' order by a.created_at, a.id`,
    rows(Archive),
  );

/** Rows that name the subject, and those that went along with them, at any depth, and name nobody else. */
async function* theirs(
  store: ArchiveStore,
  { prefix, manifest }: Read,
  { scope, id }: Subject,
): AsyncGenerator<{ part: Part; line: Line }> {
  const naming = (line: Line) => (scope === 'user' ? line.u : line.o);
  const all: (Hanging & { readonly names: string | undefined })[] = [];
  for await (const { nth, line } of every(store, prefix, manifest))
    all.push({ id: idOf(nth, line.k), above: aboveOf(line), names: naming(line) });
  const found = withBelow(
    all,
    (row) => row.names === id,
    (row) => row.names === undefined,
  );
  for await (const { nth, part, line } of every(store, prefix, manifest))
    if (found.has(idOf(nth, line.k)) && line.s === undefined) yield { part, line };
}

async function* every(store: ArchiveStore, prefix: string, { tables }: Manifest) {
  for (const [nth, part] of tables.entries())
    for await (const text of linesOf(store, prefix, part))
      yield { nth, part, line: JSON.parse(text) as Line };
}

/** Its values by the names that their columns had. */
const written = ({ columns }: Part, { v }: Line): string =>
  JSON.stringify(Object.fromEntries(columns.map((c, i) => [c.name, v[i] ?? null])));
