/**
 * The ledger of finished erasures: one private file a request, outside the database, so that a restore of the database cannot take
 * it back. A file is sealed (AES-256-GCM, a key of the environment): it needs the id of the subject, because only an id says
 * which rows to erase again, and the id of a person is personal data. (A keyed hash would have to be held against every
 * id in every table, and finds nobody whose own row is gone.)
 *
 *   <namespace>/<order>-<hash>-<request>    order: 15 digits that fall as the audit chain grows, so that the newest entry is listed
 *                                           first; hash: the first digits of the chain's head when it was written
 *
 *   <namespace>/aside/<the same name>       what this database cannot take up: another key sealed it, or it proves nothing here
 *
 * The name alone says whether the database is older than the newest entry: then its chain has no such head.
 */
import { z } from 'zod';
import { type ArchiveStore, patiently, readWhole, writePiece } from '../../files/archive/store';
import type { StoredFile } from '../../platform/blob';
import { keyFor, seal, unseal } from '../../platform/keys';
import type { Services } from '../../services';

const FOLDER = 'lapse/erasures/';
const PURPOSE = 'lapse.erasures';
const MOST_ENTRIES = 999_999_999_999_999;
const HASH_DIGITS = 16;
const NAME = /\/(\d{15})-([0-9a-f]{16})-([0-9a-f-]{36})$/;

export interface Ledger {
  readonly store: ArchiveStore;
  /** Ends in a slash; of this installation alone. */
  readonly folder: string;
  /** The first seals; each opens. */
  readonly keys: readonly Buffer[];
}

/** Null where none is kept: without a key or without a store. */
export function ledgerOf({
  settings,
  blob,
  backoff,
}: Pick<Services, 'settings' | 'blob' | 'backoff'>): Ledger | null {
  if (!blob || settings.rightsKeys.length === 0) return null;
  const keys = settings.rightsKeys.map((key) => keyFor(key, PURPOSE));
  return { store: { blob, backoff }, folder: `${FOLDER}${settings.namespace}/`, keys };
}

const Content = z.object({
  id: z.uuid(),
  scope: z.enum(['organization', 'user']),
  subject: z.string(),
  reason: z.string(),
  requested_by: z.string(),
  /** Hashes of what else the subject is known by: its own row may not come back with what names it. */
  identifiers: z.record(z.string(), z.array(z.string())),
  /** Of the database: without it the entry is taken up by none. */
  proof: z.string(),
});
export type Content = z.infer<typeof Content>;

/** What the name of an entry says. */
export interface Named {
  readonly pathname: string;
  readonly id: string;
  /** The head of the chain when it was written. */
  readonly n: number;
  readonly hash: string;
}

export interface Head {
  readonly n: number;
  readonly hash: string;
}

export const nameOf = ({ folder }: Ledger, id: string, head: Head): string =>
  `${folder}${String(MOST_ENTRIES - head.n).padStart(15, '0')}-${head.hash.slice(0, HASH_DIGITS)}-${id}`;

/** Undefined: a file that is none of ours. */
function named({ pathname }: StoredFile): Named | undefined {
  const [, order, hash, id] = NAME.exec(pathname) ?? [];
  return id === undefined ? undefined : { pathname, id, n: MOST_ENTRIES - Number(order), hash: hash! };
}

/** The newest entry that is not set aside. */
export async function newestEntry(ledger: Ledger): Promise<Named | null> {
  const { entries } = await listEntries(ledger, { limit: 1 });
  return entries.find((e) => !isAside(ledger, e)) ?? null;
}

const asideOf = ({ folder }: Ledger): string => `${folder}aside/`;
const isAside = (ledger: Ledger, { pathname }: Named): boolean => pathname.startsWith(asideOf(ledger));

/** Keeps it for whoever finds the key, where it is no longer the newest. */
export async function setAside(ledger: Ledger, entry: Named): Promise<void> {
  if (isAside(ledger, entry)) return;
  const content = await readWhole(ledger.store, entry.pathname);
  await writePiece(ledger.store, asideOf(ledger) + entry.pathname.slice(ledger.folder.length), content);
  await dropEntry(ledger, entry);
}

/** Entries, the newest first and those set aside last; `cursor` null at the end. */
export async function listEntries(
  { store, folder }: Ledger,
  page: { readonly cursor?: string | null; readonly limit: number },
): Promise<{ entries: Named[]; cursor: string | null }> {
  const { files, cursor } = await patiently(store, () => store.blob.list({ prefix: folder, ...page }));
  return { entries: files.flatMap((file) => named(file) ?? []), cursor };
}

export async function writeEntry(ledger: Ledger, called: string, content: Content): Promise<void> {
  const about = `${ledger.folder}${content.id}`;
  await writePiece(ledger.store, called, seal(ledger.keys[0]!, JSON.stringify(content), about));
}

/** Null: no key of the environment opens it, or it is not what was written. */
export async function readEntry(ledger: Ledger, { pathname, id }: Named): Promise<Content | null> {
  const sealed = await readWhole(ledger.store, pathname);
  for (const key of ledger.keys) {
    const text = unseal(key, sealed, `${ledger.folder}${id}`);
    if (text !== null) return Content.parse(JSON.parse(text));
  }
  return null;
}

/** The name may come from the database: anything but an entry of this request in this ledger is left. */
export async function dropEntry(
  { store, folder }: Ledger,
  { pathname, id }: Pick<Named, 'pathname' | 'id'>,
): Promise<void> {
  const isOwn = pathname.startsWith(folder) && NAME.exec(pathname)?.[3] === id;
  if (isOwn) await patiently(store, () => store.blob.del([pathname]));
}
