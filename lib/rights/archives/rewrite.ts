/**
 * Writes archives anew without the rows that were erased, once their share is what the policy says, or two weeks have passed.
 * The new one is read back before it counts; the files of the old one go through the outbox. Stopped anywhere, the old one
 * stands, and what was written of the new one is written over by the next.
 */
import { z } from 'zod';
import { type Hanging, idOf, withBelow } from '../../engine/archive/graph';
import { aboveOf, type Line } from '../../engine/archive/transform';
import { announceFiles } from '../../files/announce';
import { type Manifest, manifestPath } from '../../files/archive/manifest';
import { linesOf } from '../../files/archive/read';
import type { ArchiveStore } from '../../files/archive/store';
import { validateArchive } from '../../files/archive/validate';
import { type ArchiveSource, writeArchive } from '../../files/archive/write';
import { ArchiveError } from '../../platform/errors';
import { MAX_DURATION_SECONDS } from '../../platform/jobs';
import { oneRow, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { sql } from '../../platform/sql';
import { strategyOf } from '../../policies/strategies';
import type { Services } from '../../services';
import { isErased } from '../restore/one-archive';

const LIMITS = { statementMs: 10_000 };
/** As many as a call of five minutes gets through. */
const MOST = 100;
/** So that an erasure is complete within the month the law gives, whatever share a policy says. */
const LONGEST_DAYS = 14;

const Dead = z.object({
  id: z.uuid(),
  policy: z.string(),
  prefix: z.string(),
  sha256: z.string(),
  generation: z.number(),
  share: z.coerce.number(),
  waiting_days: z.coerce.number(),
  erased: z.array(z.string()),
});
type Dead = z.infer<typeof Dead>;

/** Returns how many were written anew. One that is damaged is left, and said so. */
export async function rewriteArchives(services: Services, inTime: () => boolean): Promise<number> {
  const { blob, backoff, database, log, redis, clock } = services;
  if (blob === undefined) return 0;
  const store = { blob, backoff };
  const asked = sql`select id, policy, prefix, sha256, generation, share::float8, waiting_days::float8, to_json(erased) as erased from retention.archives_with_dead(${MOST}::int)`;
  const found = await askOne(database, query(asked, rows(Dead)), LIMITS);
  const due = found.filter((a) => isDue(services, a));
  if (due.length > 0 && inTime())
    await announceFiles(redis, new Date(clock().getTime() + MAX_DURATION_SECONDS * 1000));
  let rewritten = 0;
  for (const archive of due) {
    if (!inTime()) break;
    try {
      const facts = await writtenAnew(store, archive, services.clock());
      const replacing = sql`select retention.replace_archive(${archive.id}::uuid, ${archive.sha256}, ${JSON.stringify(facts)}::jsonb) as done`;
      const { done } = await askOne(
        database,
        query(replacing, oneRow(z.object({ done: z.boolean() }))),
        LIMITS,
      );
      rewritten += Number(done);
    } catch (error) {
      if (!(error instanceof ArchiveError)) throw error;
      log.error({ event: 'archive.damaged', archive: archive.id, error_code: error.code }, error.message);
    }
  }
  return rewritten;
}

function isDue({ policies }: Services, { policy, share, waiting_days: days }: Dead): boolean {
  const declared = policies.find((p) => p.name === policy);
  const from = declared ? (strategyOf(declared).archive?.rewriteAt ?? 0) : 0;
  return share >= from || days >= LONGEST_DAYS;
}

/** The new archive, read back: what retention.replace_archive notes of it. */
async function writtenAnew(store: ArchiveStore, archive: Dead, now: Date): Promise<object> {
  const old = await validateArchive(store, archive.prefix, archive.sha256);
  const prefix = `${archive.prefix.replace(/g\d+\/$/, '')}g${archive.generation + 1}/`;
  await clear(store, prefix);
  const dead = await deadOf(store, archive, old);
  const { sha256 } = await writeArchive(store, sourceOf(store, archive, old, { prefix, now, dead }));
  const manifest = await validateArchive(store, prefix, sha256);
  const [own, ...along] = manifest.tables;
  return {
    prefix,
    sha256,
    rows: own!.rows,
    dependants: along.reduce((sum, t) => sum + t.rows, 0),
    files: manifest.files.length,
    bytes: [...manifest.tables, ...manifest.files].reduce((sum, x) => sum + x.bytes, 0),
    paths: [...manifest.tables, ...manifest.files].map((x) => prefix + x.path).concat(manifestPath(prefix)),
    honored: archive.erased,
  };
}

/** What a call that was stopped left there. */
async function clear({ blob }: ArchiveStore, prefix: string): Promise<void> {
  for (;;) {
    const { files } = await blob.list({ prefix, limit: 100 });
    if (files.length === 0) return;
    await blob.del(files.map((f) => f.pathname));
  }
}

/** What was erased, and all below it. */
async function deadOf(store: ArchiveStore, { prefix, erased }: Dead, old: Manifest): Promise<Set<string>> {
  const subjects = new Set(erased);
  const all: (Hanging & { readonly isErased: boolean })[] = [];
  for (const [nth, part] of old.tables.entries()) {
    for await (const text of linesOf(store, prefix, part)) {
      const line = JSON.parse(text) as Line;
      all.push({ id: idOf(nth, line.k), above: aboveOf(line), isErased: isErased(line, subjects) });
    }
  }
  return withBelow(all, (row) => row.isErased);
}

function sourceOf(
  store: ArchiveStore,
  { id, prefix: from }: Dead,
  old: Manifest,
  { prefix, now, dead }: { readonly prefix: string; readonly now: Date; readonly dead: ReadonlySet<string> },
): ArchiveSource {
  const named = new Set<string>();
  async function* alive(nth: number): AsyncGenerator<string> {
    for await (const text of linesOf(store, from, old.tables[nth]!)) {
      const line = JSON.parse(text) as Line;
      if (dead.has(idOf(nth, line.k))) continue;
      for (const file of line.f ?? []) named.add(file);
      yield text;
    }
  }
  return {
    id,
    prefix,
    createdAt: now,
    about: { ...old.about, rewritten: true },
    tables: old.tables.map(({ table, columns, oid }, nth) => ({
      table,
      columns,
      ...(oid === undefined ? {} : { oid }),
      lines: alive(nth),
    })),
    get files() {
      return old.files.filter((f) => named.has(f.from)).map((copy) => ({ prefix: from, copy }));
    },
  };
}
