/**
 * Where a scan continues: <prefix>blob-reconcile:cursor in Redis, JSON, kept a week. Lost, the scan begins anew as
 * another scan; two sightings of one orphan have to be hours apart, so that deletes nothing sooner.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { READ_TEXT } from '../../platform/lua';
import type { RedisClient } from '../../platform/redis';
import type { Scan } from '../finding';

const SECONDS = 7 * 86_400;

export const ScanCursor = z.object({
  id: z.uuid(),
  /** When the scan began: every finding of it carries this instant. */
  at: z.iso.datetime(),
  stage: z.enum(['list', 'check']),
  /** Which prefix, or which column that names files. */
  index: z.number().int().nonnegative(),
  /** The store's cursor, or the key of the last row as JSON; null at the beginning. */
  after: z.string().nullable(),
});
export type ScanCursor = z.infer<typeof ScanCursor>;

const key = (redis: RedisClient): string => `${redis.prefix}blob-reconcile:cursor`;

export async function readScan(redis: RedisClient): Promise<ScanCursor | null> {
  const text = await redis.eval(`${READ_TEXT}return text(KEYS[1])`, [key(redis)], []);
  if (typeof text !== 'string') return null;
  try {
    return ScanCursor.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

export async function saveScan(redis: RedisClient, cursor: ScanCursor | null): Promise<void> {
  if (cursor === null) await redis.eval("return redis.call('del', KEYS[1])", [key(redis)], []);
  else
    await redis.eval(
      "return redis.call('set', KEYS[1], ARGV[1], 'ex', ARGV[2])",
      [key(redis)],
      [JSON.stringify(cursor), String(SECONDS)],
    );
}

export const newScan = (at: Date): ScanCursor => ({
  id: randomUUID(),
  at: at.toISOString(),
  stage: 'list',
  index: 0,
  after: null,
});

/** Where a scan is, and has saved that it is. */
export class Place {
  /** What findings are noted under. */
  readonly scan: Scan;

  constructor(
    private readonly redis: RedisClient,
    private cursor: ScanCursor,
  ) {
    this.scan = { id: cursor.id, at: new Date(cursor.at) };
  }

  get now(): ScanCursor {
    return this.cursor;
  }

  async move(to: Partial<ScanCursor>): Promise<void> {
    this.cursor = { ...this.cursor, ...to };
    await saveScan(this.redis, this.cursor);
  }
}
