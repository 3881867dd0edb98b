/** Random Redis commands, repeatable by their seed: right ones, wrong ones, and right ones on the wrong kind. */

/** A small generator of numbers from 0 to 1 (xorshift32). */
function random(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

const VALUES = [
  'a',
  'b',
  'hello',
  '10',
  '-3',
  '0',
  '3.5',
  '',
  '007',
  '9223372036854775807',
  'inf',
  ' 1',
  '1e3',
  'é',
];
const INTEGERS = ['0', '1', '-1', '2', '3', '-2', '5', '100', 'x', '1.5', '9223372036854775807', '-100'];
const SCORES = ['0', '1', '2.5', '-1', '3', '1e2', 'inf', '-inf', '0.1', 'nan', 'x'];
const LIMITS = ['-inf', '+inf', '0', '(1', '2', '(2.5', '-1', '3', 'x'];
const TTLS = ['100', '1000', '100000', '0', '-1', 'x'];
/** Milliseconds too short would let the two clocks disagree. */
const FAR = ['100000', '200000', '0', '-5', 'x'];

type Word = 'key' | 'value' | 'integer' | 'score' | 'limit' | 'ttl' | 'far' | 'field' | (string & {});

/**
 * GT and LT only with an absolute time: the two clocks may differ by a millisecond.
 * One line a form of a command; `word|word` is a choice, `word*` some of them, `word?` perhaps one.
 */
const FORMS = `
GET key
SET key value nx|xx|get|keepttl? ex|px? far?
SETNX key value
SETEX key ttl value
PSETEX key far value
GETSET key value
GETDEL key
GETEX key PERSIST|EX? ttl?
MGET key key*
MSET key value key value
MSETNX key value key value
INCR key
DECR key
INCRBY key integer
DECRBY key integer
APPEND key value
STRLEN key
GETRANGE key integer integer
SETRANGE key integer value
DEL key key*
EXISTS key key*
TYPE key
EXPIRE key ttl NX|XX?
PEXPIREAT key 4102444800000|1|x NX|XX|GT|LT?
PERSIST key
RENAME key key
RENAMENX key key
HSET key field value
HSET key field value field value
HSETNX key field value
HGET key field
HMGET key field field*
HGETALL key
HKEYS key
HVALS key
HLEN key
HSTRLEN key field
HEXISTS key field
HDEL key field field*
HINCRBY key field integer
HSCAN key 0 MATCH|COUNT|TYPE [ab]|3|x|0|string
LPUSH key value value*
RPUSH key value value*
LPUSHX key value
RPUSHX key value
LPOP key integer?
RPOP key integer?
LLEN key
LRANGE key integer integer
LTRIM key integer integer
LINDEX key integer
LSET key integer value
LREM key integer value
LMOVE key key LEFT|right|x LEFT|right
RPOPLPUSH key key
SADD key value value*
SREM key value value*
SMEMBERS key
SISMEMBER key value
SMISMEMBER key value value*
SCARD key
SINTER key key*
SUNION key key*
SDIFF key key*
SMOVE key key value
SSCAN key 0
ZADD key score field
ZADD key score field score field
ZADD key NX|XX|GT|LT CH? score field
ZADD key INCR score field
ZINCRBY key score field
ZREM key field field*
ZCARD key
ZSCORE key field
ZMSCORE key field field*
ZCOUNT key limit limit
ZRANGE key integer integer WITHSCORES?
ZRANGE key integer integer REV WITHSCORES?
ZRANGE key limit limit BYSCORE REV? LIMIT 0|1|-1 1|2|-1
ZREVRANGE key integer integer WITHSCORES?
ZRANGEBYSCORE key limit limit WITHSCORES?
ZREVRANGEBYSCORE key limit limit WITHSCORES?
ZRANK key field
ZREVRANK key field
ZPOPMIN key integer?
ZPOPMAX key integer?
ZREMRANGEBYSCORE key limit limit
ZREMRANGEBYRANK key integer integer
KEYS pattern
PTTL missing
TTL missing
PING value?
ECHO value
SCAN 0 MATCH mine COUNT 100000
EVAL script 1 key value
EVAL arithmetic 1 key value
NONSENSE key
GET
SET key
HSET key field
`
  .trim()
  .split('\n')
  .map((line) => line.split(' '));

const SCRIPTS = [
  `return redis.call('get', KEYS[1])`,
  `return redis.pcall('incr', KEYS[1])`,
  `return redis.call('incr', KEYS[1])`,
  `return {redis.call('exists', KEYS[1]), ARGV[1], 1.9, false}`,
  `redis.call('set', KEYS[1], ARGV[1]) return redis.call('strlen', KEYS[1])`,
  `return redis.call('type', KEYS[1])`,
  `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0`,
  `return redis.call('nonsense')`,
  `return redis.error_reply('OWN error')`,
  `return cjson.encode({ARGV[1], 1, true})`,
];

/** Around the limits of 32 bits, where a number must not wrap; never more than the 14 digits Lua prints. */
const NUMBERS = ['0', '2.5', '43200000', '100000', '2147483647', '2147483648', '3000000000'];
const FACTORS = ['0', '1', '2.5', '60', '30000'];
const HOLDERS = ['', 'tonumber', 'math.floor', 'tostring'];

/** A script whose answer is what its numbers come to, as text, as an integer and by a format. */
function arithmetic(pick: <T>(items: readonly T[]) => T): string {
  const holder = pick(HOLDERS);
  const number = (n: string) => (holder === '' ? n : `${holder}('${n}')`);
  const [a, b, c] = [number(pick(NUMBERS)), pick(FACTORS), pick(['1', '7', '1000'])];
  const sum = `(${a} ${pick(['+', '-', '*'])} ${b}) ${pick(['+', '-', '%', '/'])} ${c}`;
  return `local n = ${sum} return {tostring(n), n, string.format('%d|%5d', n, n), n .. ''}`;
}

export function fuzzer(seed: number, prefix: string): () => string[] {
  const next = random(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!;
  const words: Record<string, () => string> = {
    key: () => `${prefix}${pick(['s', 'h', 'l', 'z', 'u', 'v', 'w'])}`,
    value: () => Buffer.from(pick(VALUES)).toString('latin1'),
    integer: () => pick(INTEGERS),
    score: () => pick(SCORES),
    limit: () => pick(LIMITS),
    ttl: () => pick(TTLS),
    far: () => pick(FAR),
    field: () => pick(['a', 'b', 'c', 'd']),
    script: () => pick(SCRIPTS),
    arithmetic: () => arithmetic(pick),
    pattern: () => `${prefix}${pick(['[shl]', '?', '*', '[^uv]', '\\\\s', '[s', 'z*', '**w', ''])}`,
    missing: () => `${prefix}missing`,
    mine: () => `${prefix}*`,
  };
  const word = (w: Word): string[] => {
    if (w.endsWith('?') && w.length > 1) return next() < 0.5 ? [] : word(w.slice(0, -1));
    if (w.endsWith('*') && words[w.slice(0, -1)]) return next() < 0.5 ? [] : word(w.slice(0, -1));
    if (w.includes('|')) return word(pick(w.split('|')));
    return [words[w]?.() ?? w];
  };
  return () => pick(FORMS).flatMap(word);
}
