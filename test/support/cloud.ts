/**
 * A local cloud in this process, over the shared PostgreSQL, with a Redis and a store of its own: for tests
 * that break the network (`cloud.setFaults`), move the clock of the keys, or look into the store.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inject } from 'vitest';
import { type LocalCloud, type LocalCloudOptions, startLocalCloud } from '@/lib/dev/local-cloud';
import { testRoot } from './folder';

export type PrivateCloud = LocalCloud & {
  /** Points the Blob client of this process here; it reads its address from the environment only. */
  useBlob(): void;
};

export async function privateCloud(options: Partial<LocalCloudOptions> = {}): Promise<PrivateCloud> {
  const shared = inject('cloud');
  // Where a killed run's folders are swept up (global-setup.ts).
  const folder = await mkdtemp(join(testRoot(), `lapse-test-${process.pid}-`));
  const cloud = await startLocalCloud({
    folder,
    durable: false,
    handleSignals: false,
    contents: 'memory',
    postgresUrl: shared.ownerUrl,
    // A clock of the test's own needs the engine that can be given one.
    ...(shared.redisUrl && !options.clock ? { redisUrl: shared.redisUrl } : {}),
    ...options,
  });
  return {
    ...cloud,
    useBlob: () => {
      const env = cloud.env('none');
      for (const key of ['VERCEL_BLOB_API_URL', 'VERCEL_BLOB_RETRIES', 'BLOB_READ_WRITE_TOKEN']) {
        process.env[key] = env[key];
      }
    },
    stop: async () => {
      await cloud.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
