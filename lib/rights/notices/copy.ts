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
import { BlobError, LapseError } from '../../platform/errors';
import { oneRow, query } from '../../platform/query';
import { askOne } from '../../platform/session';
import {
  allOf,
  constant,
  id,
  isKey,
  type KeyColumn,
  keyAsText,
  keysAsRows,
  keyValue,
  list,
  literal,
  type Sql,
  sql,
  tableId,
  tableLabel,
} from '../../platform/sql';
import { clockInWords } from '../../policies/clocks';
import type { FileColumn } from '../../policies/contract';
import { type Place, treeOf } from '../../policies/tree';
import type { Services } from '../../services';
import { pageOf, pages } from '../pages';
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
  line: z.string(),
  /** As the row writes each, and by which name it is asked for; none: it lies elsewhere than its column says. */
  files: z.array(z.tuple([z.string(), z.string().nullable()]).nullable()),
});
type Row = z.infer<typeof Row>;
const Chained = z.object({ sha256: z.string() }).transform((row) => row.sha256);

export class Copy {
  readonly #tar: Pack = pack();
  readonly #tables = new Map<string, { rows: number; pages: number }>();
  readonly #files: { name: string; from: string; bytes: number; sha256: string }[] = [];
  readonly #names = new Set<string>();
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
    const { policy } = this.about;
    const label = tableLabel(policy.table);
    for await (const page of this.#pages(label, (after, size) => this.#rows(after, size))) {
      await this.#pageOf(label, page);
      this.#chain = await this.#chained(page);
      await this.#dependants(page);
    }
    await this.#manifest();
    this.#tar.finalize();
  }

  #pages(label: string, rows: (after: Row | null, size: number) => Sql): AsyncGenerator<Row[]> {
    const ask = (after: Row | null, size: number) =>
      askOne(this.services.database, pageOf(rows(after, size), Row), READING);
    return pages(PAGE, ask, () => new LapseError('row_too_large', `a row of ${label} fits no answer`));
  }

  #rows(after: Row | null, size: number): Sql {
    const { policy } = this.about;
    const behind = after && afterClock(policy, { clock: after.clock, key: after.at });
    return sql`select ${keyAsText('t', policy.key)} as key, ${clockOf(policy)}::text as clock, ${textsOf('t', policy.key)} as at, to_json(t)::text as line, ${filesIn('t', policy.files)} as files
      from ${source(policy)} t where ${allOf(rowsOf(this.about), behind)} order by ${byClock(policy)} limit ${constant(size)}`;
  }

  async #dependants(above: readonly Row[]): Promise<void> {
    for (const place of treeOf(this.about.policy).places.filter(({ n }) => n > 0)) {
      const label = tableLabel(place.table);
      const rows = (after: Row | null, size: number) => this.#below(above, place, after, size);
      for await (const page of this.#pages(label, rows)) await this.#pageOf(label, page);
    }
  }

  /** Of a place of the tree, a row once, however many ways lead to it. */
  #below(above: readonly Row[], place: Place, after: Row | null, size: number): Sql {
    const { policy } = this.about;
    const keys = sql`array(select jsonb_array_elements_text(${JSON.stringify(above.map((r) => r.key))}::jsonb))`;
    const own = list(...place.key.map((k) => id('d', k.column)));
    const behind = after && sql`(${own}) > (${list(...place.key.map((k, i) => keyValue(after.at[i]!, k)))})`;
    return sql`select ${keyAsText('d', place.key)} as key, '' as clock, ${textsOf('d', place.key)} as at, to_json(d)::text as line, ${filesIn('d', place.files)} as files
      from (select distinct b.o, b.c from ${keysAsRows(keys, policy.key, policy.table)} join ${source(policy)} t on ${isKey('t', policy.key)}
          cross join lateral ${rowsBelow(policy)} b where b.n = ${number(place)}) f
        cross join lateral (select d.* from ${tableId(place.table)} d where d.tableoid = f.o and d.ctid = f.c offset 0) d
      ${behind ? sql`where ${behind}` : sql``} order by ${own} limit ${constant(size)}`;
  }

  async #pageOf(table: string, page: readonly Row[]): Promise<void> {
    if (page.length === 0) return;
    const seen = this.#tables.get(table) ?? { rows: 0, pages: 0 };
    seen.rows += page.length;
    seen.pages += 1;
    this.#tables.set(table, seen);
    const name = `rows/${table}-${String(seen.pages).padStart(5, '0')}.jsonl`;
    await this.#entry(name, page.map((r) => `${r.line}\n`).join(''));
    for (const row of page) {
      for (const file of row.files) if (file) await this.#file(...file);
    }
  }

  #chained(page: readonly Row[]): Promise<string> {
    const chain = sql`select retention.chain_rows(${this.#chain}, array(select jsonb_array_elements_text(${JSON.stringify(page.map((r) => r.key))}::jsonb))) as sha256`;
    return askOne(this.services.database, query(chain, oneRow(Chained)), READING);
  }

  /** A file that lies elsewhere than its column says is not read, and one that is gone is named. */
  async #file(named: string, path: string | null): Promise<void> {
    const { blob } = this.services;
    if (path !== null && this.#files.some((f) => f.from === path)) return;
    const found = path === null ? null : await blob?.head(path);
    const content = blob && found ? await contentOf(blob, path!) : null;
    if (!found || content === null) {
      this.#missing.push(named);
      return;
    }
    const name = this.#nameOf(path!);
    const hash = createHash('sha256');
    const hashed = async function* () {
      for await (const piece of content) {
        hash.update(piece);
        yield piece;
      }
    };
    await writeFile(this.#tar, { name, size: found.bytes }, hashed());
    this.#files.push({ name, from: path!, bytes: found.bytes, sha256: hash.digest('hex') });
  }

  /** Its own, where that is one below a folder on every computer and no other file's there; else a number. */
  #nameOf(pathname: string): string {
    const same = pathname.normalize('NFC').toLowerCase();
    const isOwn = isPlain(pathname) && !this.#names.has(same);
    this.#names.add(same);
    return isOwn ? `files/${pathname}` : `renamed/${this.#files.length + 1}`;
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

/** The file each column names, in their order; a name that is not plainly below its column's folder is asked of no store. */
const filesIn = (alias: string, files: readonly FileColumn[]): Sql =>
  sql`jsonb_build_array(${list(
    ...files.map((f) => {
      const name = sql`${id(alias, f.column)}::text`;
      const path = sql`retention.blob_path(${name})`;
      const isThere = sql`retention.blob_refusal(${path}, ${literal(f.prefix ?? '')}, '{}') is null`;
      return sql`case when ${name} <> '' then jsonb_build_array(${name}, case when ${isThere} then ${path} end) end`;
    }),
  )})`;

/** No way out of its folder, no letter that a file system reads as another one or not at all, no part longer than it takes. */
const isPlain = (pathname: string): boolean =>
  pathname
    .split('/')
    .every(
      (part) => /^[^\p{C}\\:*?"<>|]+$/u.test(part) && !/[. ]$/.test(part) && Buffer.byteLength(part) <= 255,
    );

/** Null: it went meanwhile. */
async function contentOf(blob: Blob, path: string): Promise<AsyncIterable<Uint8Array> | null> {
  const content = (await blob.stream(path))?.content;
  if (!content) return null;
  const pieces = content[Symbol.asyncIterator]();
  // The store is only asked when the first piece is.
  const first = await pieces.next().catch((error: unknown) => {
    if (error instanceof BlobError && error.failure === 'not_found') return null;
    throw error;
  });
  return first && withFirst(first, pieces);
}

async function* withFirst(first: IteratorResult<Uint8Array>, rest: AsyncIterator<Uint8Array>) {
  for (let next = first; !next.done; next = await rest.next()) yield next.value;
}
