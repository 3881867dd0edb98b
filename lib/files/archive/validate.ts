/** Validate: reads all of an archive back from the store. Only what passed this stands for rows that are deleted. */
import pMap from 'p-map';
import { ArchiveError } from '../../platform/errors';
import type { Manifest } from './manifest';
import { linesOf, readManifest } from './read';
import { type ArchiveStore, measure, patiently } from './store';

/** Calls at once. */
const AT_ONCE = 8;

/** Returns the manifest. Throws ArchiveError when anything is missing, or is not what was written. */
export async function validateArchive(
  store: ArchiveStore,
  prefix: string,
  sha256: string,
): Promise<Manifest> {
  const manifest = await readManifest(store, prefix, sha256);
  await pMap(
    manifest.tables,
    (part) =>
      patiently(store, async () => {
        for await (const _ of linesOf(store, prefix, part));
      }),
    { concurrency: AT_ONCE },
  );
  await pMap(
    manifest.files,
    async (file) => {
      const found = await measure(store, prefix + file.path);
      if (found.bytes !== file.bytes || found.sha256 !== file.sha256)
        throw new ArchiveError('damaged', 'the copy of a file is not what was written');
    },
    { concurrency: AT_ONCE },
  );
  return manifest;
}
