/**
 * Brings back from one archive what is wanted: its rows, behind each what went along with it, at any depth, then their files. The
 * archive is read in full and must be what was written before a row of it counts. Erased rows stay in it, and all below them.
 * Done twice is done once.
 */
import pMap from 'p-map';
import { shapesOf } from '../../engine/archive/columns';
import { idOf, inOrder, withBelow } from '../../engine/archive/graph';
import { hasChanged, type Mapping, mappingOf, type SchemaChanges } from '../../engine/archive/mapping';
import { foreignKeysAmong, namedBy } from '../../engine/archive/references';
import {
  beingDeleted,
  OUTCOMES,
  type Restored,
  restoreRows,
  type Steps,
  type Target,
  type Wanted,
} from '../../engine/archive/restoring';
import { aboveOf, type Line } from '../../engine/archive/transform';
import { hashOf, type Manifest } from '../../files/archive/manifest';
import { linesOf } from '../../files/archive/read';
import type { ArchiveStore } from '../../files/archive/store';
import { validateArchive } from '../../files/archive/validate';
import { putBack } from '../../files/archive/write';
import { RequestError } from '../../platform/errors';
import { askOne } from '../../platform/session';
import { tableLabel } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { treeOf } from '../../policies/tree';
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

/** Governed rows a transaction: an extension keeps batches out while it lasts. */
const CHUNK = 200;
/** Rows of all tables, if whole trees come to no more; a larger one is divided. */
const MOST_IN_ALL = 2_000;
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
  const targets = await targetsOf(of, manifest);
  refuseRequired(targets.map((t) => t.mapping));
  const keys = await askOne(
    of.services.database,
    foreignKeysAmong(targets.map((t) => t.table)),
    CHUNK_LIMITS,
  );
  const named = namedBy(wanted, targets, keys);
  const told = new Told(manifest, counts);
  const bad = new Set<string>();
  for (const steps of chunks(inOrder(wanted, (row) => [...row.above, ...named(row)]))) {
    const rows = steps.flat();
    const above = new Set(rows.flatMap((row) => row.above));
    const work = { targets, steps, bad: [...bad].filter((id) => above.has(id)) };
    const found = await sent(of, archive, kept.erased.length, work);
    for (const id of told.add(found, rows)) bad.add(id);
  }
  const isThrough = of.restore === null || (await bringFiles(of, kept, manifest, told));
  const schema = targets.map((t) => t.mapping.changes).filter(hasChanged);
  return { counts: told.counts, problems: told.problems, schema, isThrough };
}

/** Where the rows of each table of the archive belong, by its name: the policy may have named them in another order since. */
async function targetsOf({ policy, services }: Bringing, manifest: Manifest): Promise<Target[]> {
  const { places } = treeOf(policy);
  const those = manifest.tables.map((part, nth) => {
    const place = nth === 0 ? places[0] : places.find((p) => tableLabel(p.table) === part.table);
    if (place) return place;
    throw new RequestError(
      422,
      'unknown_table',
      `the archive holds rows of ${part.table}, which "${policy.name}" does not declare any more; declare it in dependants again. Nothing was restored`,
    );
  });
  const asked = shapesOf(those.map((p) => p.table));
  const shapes = await askOne(services.database, asked, CHUNK_LIMITS);
  return those.map(({ table, key }, nth) => ({
    table,
    key,
    mapping: mappingOf(manifest.tables[nth]!, shapes[nth]!),
  }));
}

/** So many rows that a transaction is short; a row and all below it together, as long as there is room. */
function* chunks(steps: readonly Wanted[][]): Generator<Wanted[][]> {
  let chunk: Wanted[][] = [];
  let [governed, all] = [0, 0];
  for (const step of steps) {
    const isNew = step.every((row) => row.nth === 0);
    if ((isNew && (governed >= CHUNK || all >= MOST_IN_ALL / 2)) || all + step.length > MOST_IN_ALL) {
      if (chunk.length > 0) yield chunk;
      [chunk, governed, all] = [[], 0, 0];
    }
    chunk.push(step);
    all += step.length;
    governed += step.filter((row) => row.nth === 0).length;
  }
  if (chunk.length > 0) yield chunk;
}

/** `known`: how many tombstones it had when it was read. */
const sent = (of: Bringing, archive: Archive, known: number, wanted: Steps): Promise<Restored[]> =>
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
      wanted,
    ),
    { ...CHUNK_LIMITS, readOnly: of.restore === null },
  );

/** The lines that are wanted, with all below them, and were not erased since. */
async function wantedOf(
  { store, wish }: Bringing,
  archive: Kept,
  manifest: Manifest,
): Promise<{ wanted: Wanted[]; counts: Counts }> {
  const deleted = new Set(archive.keys);
  const erased = new Set(archive.erased);
  const all: Wanted[] = [];
  for (const [nth, part] of manifest.tables.entries()) {
    for await (const text of linesOf(store, archive.prefix, part)) {
      const line = JSON.parse(text) as Line;
      all.push({ nth, line, id: idOf(nth, line.k), above: aboveOf(line) });
    }
  }
  // What was taken apart went below a row that is in another archive, or still there.
  const isFirst = ({ nth, line }: Wanted) =>
    nth === 0 && (line.s === true || deleted.has(line.k)) && isWished(wish, line);
  const wished = withBelow(all, isFirst);
  const dead = withBelow(all, ({ line }) => isErased(line, erased));
  const found = all.filter(({ id, line }) => wished.has(id) && line.s === undefined);
  const wanted = found.filter(({ id }) => !dead.has(id));
  return { wanted, counts: found.length > wanted.length ? { erased: found.length - wanted.length } : {} };
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
  parent: 'a row it hangs on is not back',
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

  /** Returns those that are not back. */
  add(found: readonly Restored[], asked: readonly Wanted[]): string[] {
    const files = new Map(asked.map(({ id, line }) => [id, line.f ?? []]));
    const bad: string[] = [];
    for (const { nth, key, outcome, sql_state: state } of found) {
      this.counts[outcome] = (this.counts[outcome] ?? 0) + 1;
      const id = idOf(nth, key);
      if (outcome === 'restored' || outcome === 'there') {
        for (const file of files.get(id) ?? []) this.files.add(file);
        continue;
      }
      bad.push(id);
      const { table } = this.manifest.tables[nth]!;
      this.problems.push({ table, key, why: state ? `${WHY[outcome]} (${state})` : WHY[outcome] });
    }
    return bad;
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
