/** No file waits unseen: what Redis was not told of does not begin. */
import { expect, it } from 'vitest';
import { announceFiles } from '@/lib/files/announce';
import { RedisError } from '@/lib/platform/errors';

it('a run whose files Redis was not told of is refused before any row leaves', async () => {
  const away = { prefix: 'test:', eval: () => Promise.reject(new RedisError('away')) };
  await expect(announceFiles(away, new Date(0))).rejects.toThrow(/no row that names files may leave/);
});
