import { neon, neonConfig } from '@neondatabase/serverless';
import { Redis } from '@upstash/redis';
import { del, list, put } from '@vercel/blob';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { FaultRequest } from '@/lib/dev/local-cloud';
import { type PrivateCloud, privateCloud } from '../../support/cloud';
import { type TestDatabase, testDatabase } from '../../support/database';

let cloud: PrivateCloud;
let db: TestDatabase;
let sql: ReturnType<typeof neon<false, false>>;
let redis: Redis;

beforeAll(async () => {
  db = await testDatabase({ empty: true });
  await db.sql('create table done (n int)');
  await db.sql('grant all on done to lapse_app');
  cloud = await privateCloud();
  cloud.useBlob();
  process.env.VERCEL_BLOB_RETRIES = '0';
  const env = cloud.env(db.name);
  neonConfig.fetchEndpoint = env.NEON_HTTP_ENDPOINT!;
  sql = neon(env.DATABASE_URL!);
  redis = new Redis({
    url: env.UPSTASH_REDIS_REST_URL!,
    token: env.UPSTASH_REDIS_REST_TOKEN!,
    enableAutoPipelining: false,
    enableTelemetry: false,
    retry: { retries: 0 },
  });
});
afterEach(() => cloud.setFaults(undefined));
afterAll(async () => {
  await cloud.stop();
  await db.stop();
});

const rows = async () => (await db.sql('select n from done order by n')).map((r) => r.n);

it('an answer lost after the work was done leaves the work done', async () => {
  cloud.setFaults(() => ({ kind: 'drop-after' }));
  const lost = await sql`insert into done values (1)`.catch((e: unknown) => e);
  expect(lost).toMatchObject({ name: 'NeonDbError', code: undefined });
  await expect(redis.set('after', 'x')).rejects.toThrow();
  await expect(put('after.txt', 'x', { access: 'private' })).rejects.toThrow();
  cloud.setFaults(undefined);
  expect(await rows()).toContain(1);
  expect(await redis.get('after')).toBe('x');
  expect((await list({ prefix: 'after' })).blobs).toHaveLength(1);
});

it('a connection closed before the work leaves nothing done', async () => {
  cloud.setFaults(() => ({ kind: 'drop-before' }));
  await expect(sql`insert into done values (2)`).rejects.toThrow();
  await expect(redis.set('before', 'x')).rejects.toThrow();
  await expect(put('before.txt', 'x', { access: 'private' })).rejects.toThrow();
  cloud.setFaults(undefined);
  expect(await rows()).not.toContain(2);
  expect(await redis.get('before')).toBeNull();
  expect((await list({ prefix: 'before' })).blobs).toHaveLength(0);
});

it('a refusal has the shape of the service, and nothing is done', async () => {
  cloud.setFaults(({ service }) =>
    service === 'sql'
      ? { kind: 'refuse', status: 400, code: '40001', message: 'could not serialize' }
      : { kind: 'refuse', status: 429, message: 'ERR max requests limit exceeded' },
  );
  await expect(sql`insert into done values (3)`).rejects.toMatchObject({ code: '40001', severity: 'ERROR' });
  await expect(redis.incr('refused')).rejects.toThrow(/max requests limit exceeded/);
  cloud.setFaults(() => ({ kind: 'refuse', status: 503 }));
  await expect(sql`insert into done values (3)`).rejects.toThrow(/HTTP status 503/);
  cloud.setFaults(undefined);
  expect(await rows()).not.toContain(3);
  expect(await redis.get('refused')).toBeNull();
});

it('a delay comes before the work, and the client may have gone by then', async () => {
  cloud.setFaults(() => ({ kind: 'delay', ms: 50 }));
  const started = performance.now();
  await sql`insert into done values (4)`;
  expect(performance.now() - started).toBeGreaterThanOrEqual(49);
});

it('sees each request with its number, path and body, counted for each service from when it was set', async () => {
  const seen: FaultRequest[] = [];
  cloud.setFaults((request) => {
    seen.push(request);
    return undefined;
  });
  await sql`select 1`;
  await sql.transaction([sql`select 2`]);
  await redis.get('x');
  await redis.pipeline().get('x').get('y').exec();
  await del(['a', 'b']);
  expect(seen.map(({ service, method, path, n }) => `${service} ${method} ${path} ${n}`)).toEqual([
    'sql POST / 1',
    'sql POST / 2',
    'redis POST / 1',
    'redis POST /pipeline 2',
    'blob POST /delete 1',
  ]);
  expect(seen[0]!.body).toMatchObject({ query: 'select 1' });
  expect(seen[4]!.body).toEqual({ urls: ['a', 'b'] });
});
