/**
 * Called before rows that name files leave: whatever becomes of the caller, the outbox is looked at. Without Redis it
 * would not be, so nothing may leave then.
 */
import { RedisError } from '../platform/errors';
import { FILES_JOB } from '../platform/jobs';
import { announceWork } from '../platform/looks';
import type { RedisScripts } from '../platform/redis';

/** `until`: the caller's deadline. Throws RedisError. */
export async function announceFiles(redis: RedisScripts, until: Date): Promise<void> {
  if (await announceWork(redis, [FILES_JOB], until)) return;
  throw new RedisError(
    'Upstash Redis did not take that files are about to wait, so no row that names files may leave; check UPSTASH_REDIS_REST_URL and its token',
  );
}
