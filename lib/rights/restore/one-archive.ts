/**
 * Brings back from one archive what is wanted: its rows, those that went along behind them, then their files. The archive is
 * read in full and must be what was written before a row of it counts. Erased rows stay in it. Done twice is done once.
 */
import pMap from 'p-map';
import { shapesOf } from '../../engine/archive/columns';
import { hasChanged, type Mapping, mappingOf, type SchemaChanges } from '../../engine/archive/mapping';
import {
  beingDeleted,
  OUTCOMES,
  type Restored,
  restoreRows,
  type Wanted,
} from '../../engine/archive/restoring';
import type { Line } from '../../engine/archive/transform';
import { hashOf, type Manifest } from '../../files/archive/manifest';
import { linesOf } from '../../files/archive/read';
import type { ArchiveStore } from '../../files/archive/store';
import { validateArchive } from '../../files/archive/validate';
import { putBack } from '../../files/archive/write';
import { RequestError } from '../../platform/errors';
import { askOne } from '../../platform/session';
import type { Policy } from '../../policies/contract';
import { goingDependants } from '../../policies/going';
import type { Services } from '../../services';
import { type Archive, type Kept, keptIn, type Wish } from './archives';
import { askAs, type By } from './records';

/** What became of rows and files, by how many. */
export type Counts = Record<string, number>;

interface Problem {
  readonly table: string;
  /** A row's key or a file's pathname. */
  readonly key: string;
  readonly why: string;
}

export interface Brought {
  readonly counts: Counts;
  readonly problems: readonly Problem[];
  readonly schema: readonly SchemaChanges[];
  /** Files that a drain is deleting right now keep the archive from being through. */
  readonly isThrough: boolean;
}

/** Rows a transaction: an extension keeps batches out while it lasts. */
const CHUNK = 200;
const CHUNK_LIMITS = { statementMs: 15_000, lockMs: 10_000 };
/** Calls to the store at once. */
const AT_ONCE = 8;

export interface Bringing {
  readonly services: Services;
  readonly store: ArchiveStore;
  readonly policy: Policy;
  readonly wish: Wish;
  readonly by: By;
  /** The restore; null only looks. */
  readonly restore: string | null;
}

export async function bringBack(of: Bringing, archive: Archive): Promise<Brought> {
  const kept = await askOne(of.services.database, keptIn(archive), CHUNK_LIMITS);
  const manifest = await validateArchive(of.store, kept.prefix, kept.sha256);
  const { wanted, counts } = await wantedOf(of, kept, manifest);
  const tables = [of.policy, ...goingDependants(of.policy)];
  const shapes = await askOne(of.services.database, shapesOf(tables.map((t) => t.table)), CHUNK_LIMITS);
  const mappings = manifest.tables.map((part, i) => mappingOf(part, shapes[i]!));
  refuseRequired(mappings);
  const told = new Told(manifest, counts);
  const [rows, ...along] = wanted;
  for (let from = 0; from < rows!.length; from += CHUNK) {
    const chunk = rows!.slice(from, from + CHUNK);
    const keys = new Set(chunk.map((l) => l.k));
    const lines = [chunk, ...along.map((table) => table.filter((l) => keys.has(l.p!)))];
    const work: Wanted[] = lines.map((some, nth) => {
      const { table, key } = tables[nth]!;
      return { nth, table, key, mapping: mappings[nth]!, lines: some };
    });
    told.add(await sent(of, archive, kept.erased.length, work), lines);
  }
  const isThrough = of.restore === null || (await bringFiles(of, kept, manifest, told));
  const schema = mappings.map((m) => m.changes).filter(hasChanged);
  return { counts: told.counts, problems: told.problems, schema, isThrough };
}

/** `known`: how many tombstones it had when it was read. */
const sent = (of: Bringing, archive: Archive, known: number, work: readonly Wanted[]): Promise<Restored[]> =>
  askAs(
    of.services,
    of.by,
    restoreRows(
      {
        who: of.by.actor,
        restore: of.restore ?? archive.id,
        archive: archive.id,
        known,
        pretend: of.restore === null,
      },
      work,
    ),
    { ...CHUNK_LIMITS, readOnly: of.restore === null },
  );

/** The lines of each table that are wanted and were not erased since. */
async function wantedOf(
  { store, wish }: Bringing,
  archive: Kept,
  manifest: Manifest,
): Promise<{ wanted: Line[][]; counts: Counts }> {
  const deleted = new Set(archive.keys);
  const erased = new Set(archive.erased);
  const counts: Counts = {};
  const wanted: Line[][] = [];
  for (const [nth, part] of manifest.tables.entries()) {
    const parents = nth === 0 ? null : new Set(wanted[0]!.map((l) => l.k));
    const lines: Line[] = [];
    for await (const text of linesOf(store, archive.prefix, part)) {
      const line = JSON.parse(text) as Line;
      if (parents ? !parents.has(line.p!) : !deleted.has(line.k) || !isWished(wish, line)) continue;
      if (isErased(line, erased)) counts.erased = (counts.erased ?? 0) + 1;
      else lines.push(line);
    }
    wanted.push(lines);
  }
  return { wanted, counts };
}

function isWished({ scope, subject }: Wish, line: Line): boolean {
  return scope === 'run' || (scope === 'item' ? line.k : line.o) === subject;
}

export const isErased = ({ o, u }: Line, erased: ReadonlySet<string>): boolean =>
  erased.size > 0 &&
  ((o !== undefined && erased.has(hashOf(`organization:${o}`))) ||
    (u !== undefined && erased.has(hashOf(`user:${u}`))));

function refuseRequired(mappings: readonly Mapping[]): void {
  const blocking = mappings.filter((m) => m.changes.required.length > 0);
  if (blocking.length === 0) return;
  const named = blocking.map((m) => `${m.changes.table} (${m.changes.required.join(', ')})`).join('; ');
  throw new RequestError(
    409,
    'columns_required',
    `columns were added that must be filled and have no default, so no archived row fits: ${named}; give them a default. Nothing was restored`,
  );
}

const WHY: Record<Exclude<Restored['outcome'], 'restored' | 'there'>, string> = {
  conflict: 'another row with this key or with its unique values is there; it was left as it is',
  altered: 'the table would not keep it as it was archived (a trigger, or a type); it was not written',
  refused: 'the table refuses it',
  parent: 'the row it went with is not back',
};

/** Adds up what became of rows and files. */
class Told {
  readonly problems: Problem[] = [];
  /** Pathnames of files whose rows are there again. */
  readonly files = new Set<string>();

  constructor(
    private readonly manifest: Manifest,
    readonly counts: Counts,
  ) {
    for (const outcome of OUTCOMES) this.counts[outcome] ??= 0;
  }

  add(found: readonly Restored[], lines: readonly (readonly Line[])[]): void {
    const byKey = lines.map((some) => new Map(some.map((l) => [l.k, l])));
    for (const { nth, key, outcome, sql_state: state } of found) {
      this.counts[outcome] = (this.counts[outcome] ?? 0) + 1;
      if (outcome === 'restored' || outcome === 'there') {
        for (const file of byKey[nth]?.get(key)?.f ?? []) this.files.add(file);
      } else {
        const { table } = this.manifest.tables[nth]!;
        this.problems.push({ table, key, why: state ? `${WHY[outcome]} (${state})` : WHY[outcome] });
      }
    }
  }

  file(path: string, outcome: string): void {
    const counted = `files_${outcome}`;
    this.counts[counted] = (this.counts[counted] ?? 0) + 1;
    if (outcome === 'restored' || outcome === 'there') return;
    const why =
      outcome === 'missing'
        ? 'the file was not in the store when the row was archived'
        : 'another file has this name; it was left as it is';
    this.problems.push({ table: '(store)', key: path, why });
  }
}

/** False: some of them are being deleted at this moment. */
async function bringFiles(
  { services, store }: Bringing,
  { prefix }: Kept,
  manifest: Manifest,
  told: Told,
): Promise<boolean> {
  const wanted = [...told.files];
  if (wanted.length === 0) return true;
  // The rows are there: no drain claims their files any more. What was claimed before is over in seconds.
  if (await askOne(services.database, beingDeleted(wanted), CHUNK_LIMITS)) return false;
  const copies = new Map(manifest.files.map((f) => [f.from, f]));
  await pMap(
    wanted,
    async (path) => {
      const copy = copies.get(path);
      told.file(path, copy ? await putBack(store, prefix, copy) : 'missing');
    },
    { concurrency: AT_ONCE },
  );
  return true;
}
