/**
 * The files that rows of the example name, as large as the rows say, uploaded when the rows were written, through
 * the store's own bulk load. Streams: neither rows nor files are held in memory.
 */
import { Client } from 'pg';
import { name, table } from '../platform/sql';
import type { Policy } from '../policies/contract';

export interface BulkStore {
  putMany(seeds: AsyncIterable<{ pathname: string; content: Uint8Array; uploadedAt: Date }>): Promise<number>;
}

export interface BlobSeed {
  readonly policies: readonly Policy[];
  readonly asOf: Date;
  /** Leaves out every n-th: rows whose file is missing. */
  readonly missingEvery?: number;
}

const PAGE = 20_000;
/** A row that does not say how large its file is. */
const SIZE_UNKNOWN = 100;
const YEAR_MS = 365 * 86_400_000;

/** Returns how many files were uploaded. */
export async function seedBlobs(ownerUrl: string, store: BulkStore, options: BlobSeed): Promise<number> {
  const client = new Client(ownerUrl);
  await client.connect();
  const uploadedAt = new Date(options.asOf.getTime() - YEAR_MS);
  const zeros = Buffer.alloc(1 << 20);
  async function* all() {
    let n = 0;
    for (const c of columnsOf(options.policies)) {
      await client.query('begin');
      await client.query(`declare named no scroll cursor for select distinct ${c.file} as path, ${c.bytes} as bytes
        from ${c.table} where ${c.file} <> '' and ${c.file} !~ '^[a-z]+://'`);
      for (;;) {
        const { rows } = await client.query<{ path: string; bytes: string | null }>(
          `fetch ${PAGE} from named`,
        );
        for (const r of rows) {
          n += 1;
          if (options.missingEvery && n % options.missingEvery === 0) continue;
          yield { pathname: r.path, content: zeros.subarray(0, Number(r.bytes ?? SIZE_UNKNOWN)), uploadedAt };
        }
        if (rows.length < PAGE) break;
      }
      await client.query('commit');
    }
  }
  try {
    return await store.putMany(all());
  } finally {
    await client.end();
  }
}

const columnsOf = (policies: readonly Policy[]) => {
  const all = policies
    .flatMap((p) => [p, ...p.dependants])
    .flatMap((t) =>
      t.files.map((f) => ({
        table: table(t.table),
        file: name(f.column),
        bytes: f.bytes ? name(f.bytes) : 'null',
      })),
    );
  return [...new Map(all.map((c) => [`${c.table}.${c.file}`, c])).values()];
};
