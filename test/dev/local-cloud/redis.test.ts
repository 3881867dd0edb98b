import { randomUUID } from 'node:crypto';
import { Redis } from '@upstash/redis';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type PrivateCloud, privateCloud } from '../../support/cloud';

let cloud: PrivateCloud;
let redis: Redis;
let env: Record<string, string>;

beforeAll(async () => {
  cloud = await privateCloud();
  env = cloud.env('none');
  redis = client();
});
afterAll(() => cloud.stop());

const client = (options: Partial<ConstructorParameters<typeof Redis>[0]> = {}) =>
  new Redis({
    url: env.UPSTASH_REDIS_REST_URL!,
    token: env.UPSTASH_REDIS_REST_TOKEN!,
    retry: false,
    enableTelemetry: false,
    ...options,
  } as ConstructorParameters<typeof Redis>[0]);

/** No two tests share a key: a real Redis is shared by all of them. */
const key = (name = 'k') => `${name}:${randomUUID()}`;
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${env.UPSTASH_REDIS_REST_URL}${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { authorization: `Bearer ${env.UPSTASH_REDIS_REST_TOKEN}`, ...headers },
  });

describe('a lease', () => {
  const ACQUIRE = `local v = redis.call('get', KEYS[1])
    if v and v ~= ARGV[1] then return 0 end
    redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
    return 1`;
  const EXTEND = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0`;
  const RELEASE = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0`;

  it('has one holder, who alone extends and releases it, and who may acquire it again', async () => {
    const lease = key('lease');
    const ask = (script: string, ...args: string[]) => redis.eval(script, [lease], args);
    expect(await ask(ACQUIRE, 'A', '60000')).toBe(1);
    expect(await ask(ACQUIRE, 'B', '60000')).toBe(0);
    expect(await ask(ACQUIRE, 'A', '60000')).toBe(1);
    expect(await ask(EXTEND, 'A', '90000')).toBe(1);
    expect(await redis.pttl(lease)).toBeGreaterThan(80_000);
    expect(await ask(EXTEND, 'B', '90000')).toBe(0);
    expect(await ask(RELEASE, 'B')).toBe(0);
    expect(await ask(RELEASE, 'A')).toBe(1);
    expect(await ask(RELEASE, 'A')).toBe(0);
  });

  it('goes to exactly one of twenty who ask at once, by SET NX in any case', async () => {
    const lease = key('lease');
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => client().set(lease, i, { nx: true, px: 60_000 })),
    );
    expect(answers.filter((a) => a === 'OK')).toHaveLength(1);
    expect(await redis.pttl(lease)).toBeGreaterThan(50_000);
    expect(await (await post('/', ['SeT', lease, 'x', 'nX', 'Px', 1000])).json()).toEqual({ result: null });
  });
});

describe('keys that expire', () => {
  it('are gone at their instant, and not before', async () => {
    let now = 1_000_000;
    const own = await privateCloud({ clock: () => now });
    const e = own.env('none');
    const r = client({ url: e.UPSTASH_REDIS_REST_URL!, token: e.UPSTASH_REDIS_REST_TOKEN! } as never);
    await r.set('a', 1, { px: 500 });
    await r.set('b', 1, { ex: 1 });
    await r.set('b', 2, { keepTtl: true });
    now += 499;
    expect(await r.mget('a', 'b')).toEqual([1, 2]);
    expect(await r.pttl('a')).toBe(1);
    now += 1;
    expect(await r.mget('a', 'b')).toEqual([null, 2]);
    expect(await r.pttl('a')).toBe(-2);
    expect(await r.dbsize()).toBe(1);
    now += 500;
    expect(await r.exists('b')).toBe(0);
    expect(await r.time()).toEqual([1001, 0]);
    await own.stop();
  });
});

describe('the protocol', () => {
  it('runs a pipeline in order and keeps errors in their place', async () => {
    const k = key();
    const answers = await redis.pipeline().set(k, 'text').incr(k).get(k).exec({ keepErrors: true });
    expect(answers.map((a) => a.result)).toEqual(['OK', undefined, 'text']);
    expect(answers[1]?.error).toContain('ERR value is not an integer or out of range');
  });

  it('runs a transaction, keeps errors of single commands, and discards it whole when a command is unknown', async () => {
    const k = key();
    expect(await redis.multi().set(k, '1').incr(k).get(k).exec()).toEqual(['OK', 2, 2]);
    const mixed = await post('/multi-exec', [
      ['set', k, 'x'],
      ['incr', k],
      ['get', k],
    ]);
    expect(await mixed.json()).toEqual([
      { result: 'OK' },
      { error: 'ERR value is not an integer or out of range' },
      { result: 'x' },
    ]);
    const discarded = await post('/multi-exec', [
      ['set', k, 'y'],
      ['nonsense', k],
    ]);
    expect(discarded.status).toBe(400);
    expect(((await discarded.json()) as { error: string }).error).toMatch(/^EXECABORT/);
    expect(await redis.get(k)).toBe('x');
  });

  it('brings texts and bytes back as they were', async () => {
    const k = key();
    const plain = client({ automaticDeserialization: false } as never);
    for (const value of ['', 'é☃𝄞', '"quoted"', 'line\nend\0', 'OK', '007', ' ']) {
      await plain.set(k, value);
      expect(await plain.get(k)).toBe(value);
    }
    expect(await plain.strlen(k)).toBe(1);
    await plain.set(k, '☃');
    expect(await plain.strlen(k)).toBe(3);
  });

  it('answers without base64 when none is asked for, and a command in the path', async () => {
    const k = key();
    expect(await (await post(`/set/${k}/a%20b`, '')).json()).toEqual({ result: 'OK' });
    const got = await post(`/get/${k}`, '');
    expect(await got.json()).toEqual({ result: 'a b' });
    const encoded = await post('/', ['get', k], { 'upstash-encoding': 'base64' });
    expect(await encoded.json()).toEqual({ result: Buffer.from('a b').toString('base64') });
    expect(encoded.headers.get('upstash-sync-token')).not.toBe(got.headers.get('upstash-sync-token'));
  });

  it('refuses a wrong token, and a body it cannot read', async () => {
    const refused = await post('/', ['ping'], { authorization: 'Bearer wrong' });
    expect(refused.status).toBe(401);
    expect(((await refused.json()) as { error: string }).error).toMatch(/^WRONGPASS/);
    for (const body of ['{', '[]', '"ping"', '[null]']) expect((await post('/', body)).status).toBe(400);
    expect((await post('/pipeline', '{}')).status).toBe(400);
  });

  it.each(['nonsense', 'json.get', '__proto__', 'toString'])(
    'refuses the unknown command %s',
    async (name) => {
      const answer = await post('/', [name, 'a']);
      expect(answer.status).toBe(400);
      expect(((await answer.json()) as { error: string }).error).toMatch(/^ERR unknown command/);
    },
  );

  it.each(['blpop', 'multi', 'select', 'subscribe', 'CONFIG', 'shutdown'])(
    'refuses %s, which needs a connection of its own',
    async (name) => {
      expect((await post('/', [name, 'a', 0])).status).toBe(400);
      const [refused, done] = (await (await post('/pipeline', [[name, 'a', 0], ['ping']])).json()) as {
        error?: string;
        result?: string;
      }[];
      expect(refused?.error).toMatch(/^ERR/);
      expect(done?.result).toBe('PONG');
    },
  );
});

describe('scripts', () => {
  it('are run by their hash after they were loaded, and named as missing before', async () => {
    const source = `return { KEYS[1], ARGV[1], #ARGV } -- ${randomUUID()}`;
    const script = redis.createScript<unknown[]>(source);
    await expect(redis.evalsha('0'.repeat(40), [], [])).rejects.toThrow('NOSCRIPT');
    expect(await script.exec(['a'], ['b', 'c'])).toEqual(['a', 'b', 2]);
    const sha = await redis.scriptLoad(source);
    expect(await redis.scriptExists(sha, '0'.repeat(40))).toEqual([1, 0]);
    expect(await redis.evalsha(sha, ['x'], ['y'])).toEqual(['x', 'y', 1]);
  });

  it('convert values by the rules of Redis', async () => {
    const k = key();
    const cases: [string, unknown][] = [
      ['return 3.99', 3],
      ['return true', 1],
      ['return false', null],
      ['return nil', null],
      ['return {1, "b", {2}, nil, 5}', [1, 'b', [2]]],
      [`return redis.status_reply('FINE')`, 'FINE'],
      [`return redis.call('get', KEYS[1])`, null],
      [`return redis.call('get', KEYS[1]) == false`, 1],
      [`return type(redis.call('set', KEYS[1], 'v').ok)`, 'string'],
      [`redis.call('set', KEYS[1], 7) return redis.call('incrby', KEYS[1], 3)`, 10],
      [`return cjson.decode('{"a":[1,{"b":null}]}').a[2].b == cjson.null`, 1],
      [`return cjson.encode({1, 'x', {k = true}})`, '[1,"x",{"k":true}]'],
      [`return redis.sha1hex('')`, 'da39a3ee5e6b4b0d3255bfef95601890afd80709'],
      [`return #redis.call('time')`, 2],
      ['local a, b = unpack(ARGV) return b .. a', 'yx'],
    ];
    const raw = client({ automaticDeserialization: false } as never);
    for (const [script, expected] of cases) {
      expect(await raw.eval(script, [k], ['x', 'y']), script).toEqual(expected);
    }
  });

  it('count exactly beyond 32 bits, in arithmetic, in replies of commands, in JSON and in formats', async () => {
    const k = key();
    await redis.set(k, 2_147_483_647, { px: 2_592_000_000 });
    const cases: [string, unknown][] = [
      ['return 100000 * 100000', 10_000_000_000],
      ['return tostring(43200000 * 60)', '2592000000'],
      ['return tonumber(ARGV[1]) * tonumber(ARGV[1])', 10_000_000_000],
      ['return math.floor(2147483647.5) + 1', 2_147_483_648],
      [`return redis.call('pttl', KEYS[1]) > 2591000000`, 1],
      [`return redis.call('incr', KEYS[1])`, 2_147_483_648],
      [`return cjson.decode('{"at":1795000000000}').at + 1`, 1_795_000_000_001],
      [`return string.format('%d after %s', 3000000000, 7 / 2)`, '3000000000 after 3.5'],
      [`return 6 / 2 .. ''`, '3'],
    ];
    const raw = client({ automaticDeserialization: false } as never);
    for (const [script, expected] of cases) {
      expect(await raw.eval(script, [k], ['100000']), script).toEqual(expected);
    }
    await expect(redis.eval('return 7 // 2', [], [])).rejects.toThrow(/Error compiling script/);
  });

  it('fail as Redis fails them, and leave the engine well', async () => {
    const k = key();
    await redis.lpush(k, 'x');
    const failing: [string, RegExp][] = [
      [`return redis.call('get', KEYS[1])`, /WRONGTYPE/],
      [`return redis.error_reply('MINE own words')`, /MINE own words/],
      ['x = 1', /Attempt to modify a readonly table|global variable/],
      ['return nowhere', /nonexistent global variable 'nowhere'/],
      ['return (', /Error compiling script/],
      [`return redis.call('nonsense')`, /Unknown Redis command/],
      [`return redis.call('get')`, /Wrong number of args/],
      [`return redis.call('get', {})`, /must be strings or integers/],
      ['local t = nil return t.x', /attempt to index/],
    ];
    for (const [script, message] of failing) {
      await expect(redis.eval(script, [k], []), script).rejects.toThrow(message);
    }
    const caught = `local r = redis.pcall('get', KEYS[1]) return r.err`;
    expect(await redis.eval(caught, [k], [])).toMatch(/^WRONGTYPE/);
    expect(await redis.llen(k)).toBe(1);
  });

  it('that may only read cannot write', async () => {
    await expect(redis.evalRo(`return redis.call('set', KEYS[1], 1)`, [key()], [])).rejects.toThrow(
      /Write commands are not allowed/,
    );
  });
});

describe('a real Redis', () => {
  it.runIf(inject('cloud').redisUrl)('is what these tests ran against', async () => {
    const [reply] = await cloud.redis.run([['INFO', 'server']]);
    expect(reply).toContain('redis_version');
  });
});
