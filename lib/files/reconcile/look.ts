/** Looks whether the files that rows name are in the store. */
// By the author of p-retry: a list worked off by so many at once.
import pMap from 'p-map';
import type { Blob } from '../../platform/blob';
import type { NamedFile } from '../finding';

/** Looks at once: hundreds a second, far from any limit known. */
const CHECKS_AT_ONCE = 16;

export interface Looked {
  readonly missing: readonly NamedFile[];
  readonly present: readonly NamedFile[];
}

export async function lookAt(blob: Blob, files: readonly NamedFile[]): Promise<Looked> {
  // A name at another host, or one that cannot be read, says nothing about this store.
  const isThere = async ({ path }: NamedFile) => path === null || (await blob.head(path)) !== null;
  const there = await pMap(files, isThere, { concurrency: CHECKS_AT_ONCE });
  return { missing: files.filter((_, i) => !there[i]), present: files.filter((_, i) => there[i]) };
}
