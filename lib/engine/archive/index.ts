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
import { type Strategy, strategyOf } from '../../policies/strategies';
import { treeOf } from '../../policies/tree';
import type { BatchRequest } from '../statement/request';
import type { TableShape } from './columns';
import { extract, type Row } from './extract';
import { lineOf, Subjects, Told } from './transform';
import { type Found, rowsToArchive } from './walk';

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
/** The batch with its archive; as it is where nothing is due. Throws BlobError, ArchiveError or DatabaseError. */
export async function archived(of: Archiving, request: BatchRequest): Promise<BatchRequest> {
  const { archive } = strategyOf(request.policy);
  if (archive === null) return request;
  const found = await rowsToArchive(of.reading, request);
  return found === null ? request : new Pipeline(of, found, archive).through();
}

class Pipeline {
  readonly #id = randomUUID();
  readonly #told = new Told();
  readonly #subjects = new Subjects();
  readonly #files = new Set<string>();

  constructor(
    private readonly of: Archiving,
    private readonly found: Found,
    private readonly archive: NonNullable<Strategy['archive']>,
  ) {}

  async through(): Promise<BatchRequest> {
    const {
      of,
      found: { request },
    } = this;
    const prefix = `archives/${request.policy.name}/${request.asOf.slice(0, 10)}/${this.#id}/`;
    const began = performance.now();
    await this.#open(prefix);
    const { sha256 } = await writeArchive(of.store, this.#source(prefix));
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
    const { runId, seq, policy } = this.found.request;
    const opening = sql`select retention.open_archive(${this.#id}::uuid, ${runId}::uuid, ${seq}::int, ${tableLabel(policy.table)}, ${prefix})`;
    return this.of.asking.askOne(query(opening, nothing), LIMITS);
  }

  #source(prefix: string): ArchiveSource {
    const { policy, version, runId, seq, asOf } = this.found.request;
    const files = this.#files;
    const tables = this.found.shapes.map((shape, n) => ({
      table: shape.table,
      ...(shape.oid === null ? {} : { oid: shape.oid }),
      columns: columnsOf(shape),
      lines: this.#lines(shape, n),
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

  /** Of one table: the rows that stay for now, then those that go. */
  async *#lines(shape: TableShape, n: number): AsyncGenerator<string> {
    const { found, of } = this;
    const { policy } = found.request;
    const level = { policy, at: treeOf(policy).places[n]!, shape };
    for await (const rows of extract(of.reading, { ...level, stay: true }, found.staying[n]!))
      for (const row of rows) yield this.#line(n, row, true);
    for await (const rows of extract(of.reading, { ...level, stay: false }, found.going[n]!))
      for (const row of rows) yield this.#line(n, row, false);
  }

  #line(n: number, row: Row & { readonly root: string }, stays: boolean): string {
    this.#told.add(n, row, stays);
    this.#subjects.add(row);
    for (const file of row.files) this.#files.add(file);
    return JSON.stringify(lineOf(row, stays));
  }

  /** How many rows there are is what was read back: the database holds it against what is deleted. */
  #archived(prefix: string, manifest: Manifest, sha256: string): NonNullable<BatchRequest['archived']> {
    const { versions, n, keys, rowVersions, below } = this.#told;
    const { root } = this.found;
    const isPart = root !== null;
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
      part_of: root,
    };
    const isAll = isPart || treeOf(this.found.request.policy).isForked;
    return {
      id: this.#id,
      facts,
      versions,
      rows: { n, keys, versions: rowVersions },
      below: isAll ? null : below,
      isPart,
    };
  }
}

const sizeOf = ({ tables, files }: Manifest): number =>
  [...tables, ...files].reduce((sum, { bytes }) => sum + bytes, 0);

const columnsOf = ({ columns }: TableShape): ArchiveSource['tables'][number]['columns'] =>
  columns.map(({ name, type, number, generated }) => ({ name, type, number, generated }));
