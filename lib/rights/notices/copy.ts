/**
 * The copy behind a download link, as one tar that is written while it is read: rows as JSON Lines, table by table and page by
 * page, then the files they name, and at last a manifest. A copy without its manifest is not complete. `asAnnounced` says whether the
 * rows are exactly those that the message announced.
 */
import { createHash } from 'node:crypto';
import { type Pack, pack } from 'tar-stream';
import { z } from 'zod';
import { number, rowsBelow } from '../../engine/statement/below';
import { afterClock, byClock, clockOf } from '../../engine/statement/legs/columns';
import { source } from '../../engine/statement/predicate';
import { NO_ROWS } from '../../engine/statement/preview';
import type { Blob } from '../../platform/blob';
import { oneRow, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import {
  allOf,
  constant,
  id,
  isKey,
  type KeyColumn,
  keyAsText,
  keysAsRows,
  list,
  type Sql,
  sql,
  tableId,
  tableLabel,
} from '../../platform/sql';
import { clockInWords } from '../../policies/clocks';
import type { FileColumn } from '../../policies/contract';
import { treeOf } from '../../policies/tree';
import type { Services } from '../../services';
import { writeFile } from '../tar';
import { type Announcement, rowsOf } from './acts';

/** Rows a page: an answer stays far below what the database's proxy sends. */
const PAGE = 500;
const READING = { statementMs: 15_000, readOnly: true };

const Row = z.object({
  key: z.string(),
  /** Where the next page begins. */
  clock: z.string(),
  at: z.array(z.string()),
  row: z.string(),
  files: z.array(z.string().nullable()),
});
type Row = z.infer<typeof Row>;
const Chained = z.object({ sha256: z.string() }).transform((row) => row.sha256);

export class Copy {
  readonly #tar: Pack = pack();
  readonly #tables = new Map<string, { rows: number; pages: number }>();
  readonly #files: { name: string; bytes: number; sha256: string }[] = [];
  readonly #missing: string[] = [];
  #chain = NO_ROWS;

  constructor(
    private readonly services: Services,
    private readonly about: Announcement,
  ) {}

  /** The tar; a failure breaks it off. */
  stream(): ReadableStream<Uint8Array> {
    this.#write().catch((error) => this.#tar.destroy(error instanceof Error ? error : new Error('failed')));
    // streamx's streams are read as any other: piece by piece, when asked.
    const pieces = this.#tar[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    return new ReadableStream({
      pull: async (controller) => {
        const { value, done } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: () => void this.#tar.destroy(),
    });
  }

  async #write(): Promise<void> {
    let last: Row | null = null;
    for (;;) {
      const page: Row[] = await this.#page(last);
      await this.#pageOf(tableLabel(this.about.policy.table), page, this.about.policy.files);
      this.#chain = await this.#chained(page);
      await this.#dependants(page);
      last = page.at(-1) ?? null;
      if (page.length < PAGE) break;
    }
    await this.#manifest();
    this.#tar.finalize();
  }

  #page(last: Row | null): Promise<Row[]> {
    const { policy } = this.about;
    const order = byClock(policy);
    const behind = last && afterClock(policy, { clock: last.clock, key: last.at });
    const asked = query(
      sql`select ${keyAsText('t', policy.key)} as key, ${clockOf(policy)}::text as clock, ${textsOf('t', policy.key)} as at, to_json(t)::text as row, ${filesIn('t', policy.files)} as files
      from ${source(policy)} t where ${allOf(rowsOf(this.about), behind)} order by ${order} limit ${constant(PAGE)}`,
      rows(Row),
    );
    return askOne(this.services.database, asked, READING);
  }

  async #dependants(page: readonly Row[]): Promise<void> {
    const { policy } = this.about;
    const keys = sql`array(select jsonb_array_elements_text(${JSON.stringify(page.map((r) => r.key))}::jsonb))`;
    const below = treeOf(policy).places.filter((place) => place.n > 0);
    for (const place of below) {
      // By its place, a row once, however many ways lead to it.
      const found = sql`select distinct on (b.o, b.c) ${keyAsText('d', place.key)} as key, to_json(d)::text as row, ${filesIn('d', place.files)} as files
        from ${keysAsRows(keys, policy.key, policy.table)} join ${source(policy)} t on ${isKey('t', policy.key)}
          cross join lateral ${rowsBelow(policy)} b
          cross join lateral (select d.* from ${tableId(place.table)} d where d.tableoid = b.o and d.ctid = b.c offset 0) d
        where b.n = ${number(place)}`;
      const asked = query(
        sql`select x.key, '' as clock, '[]'::jsonb as at, x.row, x.files from (${found}) x`,
        rows(Row),
      );
      const page = await askOne(this.services.database, asked, READING);
      await this.#pageOf(tableLabel(place.table), page, place.files);
    }
  }

  async #pageOf(table: string, page: readonly Row[], columns: readonly FileColumn[]): Promise<void> {
    if (page.length === 0) return;
    const seen = this.#tables.get(table) ?? { rows: 0, pages: 0 };
    seen.rows += page.length;
    seen.pages += 1;
    this.#tables.set(table, seen);
    const name = `rows/${table}-${String(seen.pages).padStart(5, '0')}.jsonl`;
    await this.#entry(name, page.map((r) => `${r.row}\n`).join(''));
    for (const row of page) {
      for (const [i, file] of row.files.entries()) if (file) await this.#file(file, columns[i]!);
    }
  }

  #chained(page: readonly Row[]): Promise<string> {
    const chain = sql`select retention.chain_rows(${this.#chain}, array(select jsonb_array_elements_text(${JSON.stringify(page.map((r) => r.key))}::jsonb))) as sha256`;
    return askOne(this.services.database, query(chain, oneRow(Chained)), READING);
  }

  /** A file that lies elsewhere than its column says is not read, and one that is gone is named. */
  async #file(named: string, { prefix }: FileColumn): Promise<void> {
    const { blob } = this.services;
    const found = await blob?.head(named);
    if (!blob || !found || (prefix !== undefined && !found.pathname.startsWith(prefix))) {
      this.#missing.push(named);
      return;
    }
    const name = `files/${found.pathname}`;
    if (this.#files.some((f) => f.name === name)) return;
    const sha256 = await this.#content(blob, name, named, found.bytes);
    this.#files.push({ name, bytes: found.bytes, sha256 });
  }

  async #content(blob: Blob, name: string, named: string, size: number): Promise<string> {
    const hash = createHash('sha256');
    const stream = await blob.stream(named);
    const hashed = async function* () {
      for await (const piece of stream?.content ?? []) {
        hash.update(piece);
        yield piece;
      }
    };
    await writeFile(this.#tar, { name, size }, hashed());
    return hash.digest('hex');
  }

  #manifest(): Promise<void> {
    const { policy, tenant, since, before, digest } = this.about;
    return this.#entry(
      'manifest.json',
      `${JSON.stringify(
        {
          policy: policy.name,
          organization: tenant,
          clocks: { column: clockInWords(policy.clock), since, before },
          tables: Object.fromEntries(this.#tables),
          files: this.#files,
          missingFiles: this.#missing,
          asAnnounced: this.#chain === digest,
        },
        null,
        2,
      )}\n`,
    );
  }

  #entry(name: string, text: string): Promise<void> {
    return new Promise((done, failed) => {
      this.#tar.entry({ name }, text, (error) => (error ? failed(error) : done()));
    });
  }
}

const textsOf = (alias: string, key: readonly KeyColumn[]): Sql =>
  sql`jsonb_build_array(${list(...key.map((k) => sql`${id(alias, k.column)}::text`))})`;

/** The file each column names, in their order. */
const filesIn = (alias: string, files: readonly FileColumn[]): Sql =>
  sql`jsonb_build_array(${list(...files.map((f) => sql`nullif(${id(alias, f.column)}::text, '')`))})`;
