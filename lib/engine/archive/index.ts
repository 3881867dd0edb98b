/**
 * Archive before delete: extract → transform → load → validate, for the rows of one batch. What comes back is the batch with the
 * archive it may name; anything that fails in between throws, and nothing is deleted. What was written by then is known to
 * retention.archive and is discarded: an archive counts only once a receipt names it.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { type Manifest, manifestPath } from '../../files/archive/manifest';
import type { ArchiveStore } from '../../files/archive/store';
import { validateArchive } from '../../files/archive/validate';
import { type ArchiveSource, writeArchive } from '../../files/archive/write';
import { nothing, query } from '../../platform/query';
import type { Asking } from '../../platform/session';
import { sql, tableLabel } from '../../platform/sql';
import { namesFiles } from '../../policies/contents';
import { goingDependants } from '../../policies/going';
import { type Strategy, strategyOf } from '../../policies/strategies';
import type { BatchRequest } from '../statement/request';
import type { TableShape } from './columns';
import { candidates, extract, type Row } from './extract';
import { lineOf, Subjects, Told } from './transform';

/** What the run lends. */
export interface Archiving {
  readonly store: ArchiveStore;
  readonly asking: Asking;
  /** READ ONLY. */
  readonly reading: Asking;
  readonly clock: () => Date;
  readonly log: Logger;
}

const LIMITS = { statementMs: 5_000 };
/** Rows of one archive: enough for the fixed cost of its requests, few enough to be read back within a batch's share of a run. */
const MOST_ROWS = 5_000;
/** Each file is read, written and read back: some fifty a second. */
const MOST_WITH_FILES = 250;

/** How many rows a batch of this policy looks at, at most. */
export function mostArchived(policy: BatchRequest['policy']): number {
  const { archive } = strategyOf(policy);
  if (archive === null) return Number.POSITIVE_INFINITY;
  return archive.files !== 'none' && namesFiles(policy) ? MOST_WITH_FILES : MOST_ROWS;
}

/** The batch with its archive; as it is where nothing is due. Throws BlobError, ArchiveError or DatabaseError. */
export async function archived(of: Archiving, request: BatchRequest): Promise<BatchRequest> {
  const archive = strategyOf(request.policy).archive;
  if (archive === null) return request;
  const found = await candidates(of.reading, request);
  if (found.keys.length === 0) return request;
  return new Pipeline(of, request, archive).through(found);
}

class Pipeline {
  readonly #id = randomUUID();
  readonly #told: Told[];
  readonly #subjects = new Subjects();
  readonly #files = new Set<string>();
  /** Lines of what goes along, while those of the rows are on their way. */
  readonly #along: string[][];

  constructor(
    private readonly of: Archiving,
    private readonly request: BatchRequest,
    private readonly archive: NonNullable<Strategy['archive']>,
  ) {
    const going = goingDependants(request.policy);
    this.#told = [new Told(), ...going.map(() => new Told())];
    this.#along = going.map(() => []);
  }

  async through(found: Awaited<ReturnType<typeof candidates>>): Promise<BatchRequest> {
    const { request, of } = this;
    const prefix = `archives/${request.policy.name}/${request.asOf.slice(0, 10)}/${this.#id}/`;
    const began = performance.now();
    await this.#open(prefix);
    const { sha256 } = await writeArchive(of.store, this.#source(prefix, found));
    const writtenAt = performance.now();
    const manifest = await validateArchive(of.store, prefix, sha256);
    of.log.info(
      {
        event: 'archive.written',
        archive: this.#id,
        seq: request.seq,
        rows: manifest.tables.map((t) => t.rows),
        files: manifest.files.length,
        files_missing: manifest.missing.length,
        bytes: sizeOf(manifest),
        written_seconds: Math.round(writtenAt - began) / 1000,
        validated_seconds: Math.round(performance.now() - writtenAt) / 1000,
      },
      `archived ${manifest.tables[0]?.rows} rows and read them back`,
    );
    return { ...request, archived: this.#archived(prefix, manifest, sha256) };
  }

  /** Before the first file is written: nothing lies in the store that no record names. */
  #open(prefix: string): Promise<void> {
    const { runId, seq, policy } = this.request;
    const opening = sql`select retention.open_archive(${this.#id}::uuid, ${runId}::uuid, ${seq}::int, ${tableLabel(policy.table)}, ${prefix})`;
    return this.of.asking.askOne(query(opening, nothing), LIMITS);
  }

  #source(prefix: string, found: Awaited<ReturnType<typeof candidates>>): ArchiveSource {
    const { policy, version, runId, seq, asOf } = this.request;
    const files = this.#files;
    const tables = found.shapes.map((shape, i) => ({
      table: shape.table,
      ...(shape.oid === null ? {} : { oid: shape.oid }),
      columns: columnsOf(shape),
      lines: i === 0 ? this.#lines(found) : this.#along[i - 1]!,
    }));
    return {
      id: this.#id,
      prefix,
      createdAt: this.of.clock(),
      about: { policy: policy.name, version, run: runId, seq, asOf },
      tables,
      get files() {
        return [...files];
      },
    };
  }

  async *#lines(found: Awaited<ReturnType<typeof candidates>>): AsyncGenerator<string> {
    for await (const [rows, ...along] of extract(this.of.reading, this.request.policy, found)) {
      for (const [i, table] of along.entries())
        for (const row of table) this.#along[i]!.push(this.#line(row, i + 1));
      for (const row of rows!) yield this.#line(row, 0);
    }
  }

  #line(row: Row, table: number): string {
    this.#told[table]!.add(row);
    this.#subjects.add(row);
    for (const file of row.files) this.#files.add(file);
    return JSON.stringify(lineOf(row));
  }

  /** How many rows there are is what was read back: the database holds it against what is deleted. */
  #archived(prefix: string, manifest: Manifest, sha256: string): NonNullable<BatchRequest['archived']> {
    const [rows, ...along] = this.#told;
    const [own, ...others] = manifest.tables;
    const facts = {
      sha256,
      rows: own!.rows,
      dependants: others.reduce((sum, t) => sum + t.rows, 0),
      files: manifest.files.length,
      bytes: sizeOf(manifest),
      paths: [...manifest.tables, ...manifest.files]
        .map(({ path }) => prefix + path)
        .concat(manifestPath(prefix)),
      subjects: this.#subjects.all,
      keep_seconds: this.archive.keepSeconds,
    };
    const children = along.map(({ counts, versions }) => ({ counts, versions }));
    return { id: this.#id, facts, versions: rows!.versions, children };
  }
}

const sizeOf = ({ tables, files }: Manifest): number =>
  [...tables, ...files].reduce((sum, { bytes }) => sum + bytes, 0);

const columnsOf = ({ columns }: TableShape): ArchiveSource['tables'][number]['columns'] =>
  columns.map(({ name, type, number, generated }) => ({ name, type, number, generated }));
