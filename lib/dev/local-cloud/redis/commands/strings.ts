/** Strings and counters. */
import type { Keyspace } from '../keyspace';
import { added, integer, small } from '../numbers';
import { OK, type Reply, ReplyError, syntaxError, wrongArity } from '../reply';
import { type Commands, reads, writes } from './command';

/** Redis' limit of a string: 512 MB. */
const MAX_LENGTH = 512 * 1024 * 1024;

export const invalidExpire = (command: string) =>
  new ReplyError(`ERR invalid expire time in '${command.toLowerCase()}' command`);

/** The instant meant by EX, PX, EXAT or PXAT. */
function instant(keys: Keyspace, unit: string, text: string, command: string): number {
  const amount = small(text);
  const at = unit.startsWith('EX') ? amount * 1000 : amount;
  if (amount <= 0 || !Number.isSafeInteger(at)) throw invalidExpire(command);
  return unit.endsWith('AT') ? at : keys.now + at;
}

const EXPIRY = new Set(['EX', 'PX', 'EXAT', 'PXAT']);

interface SetOptions {
  condition?: 'NX' | 'XX';
  get?: boolean;
  keepTtl?: boolean;
  expiresAt?: number;
}

function setOptions(keys: Keyspace, words: readonly string[]): SetOptions {
  const options: SetOptions = {};
  let expiry: [string, string] | undefined;
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i]!.toUpperCase();
    if ((word === 'NX' || word === 'XX') && (options.condition ?? word) === word) options.condition = word;
    else if (word === 'GET') options.get = true;
    else if (word === 'KEEPTTL' && !expiry) options.keepTtl = true;
    else if (EXPIRY.has(word) && !expiry && !options.keepTtl && i + 1 < words.length) {
      i += 1;
      expiry = [word, words[i]!];
    } else throw syntaxError();
  }
  if (expiry) options.expiresAt = instant(keys, expiry[0], expiry[1], 'set');
  return options;
}

function set(keys: Keyspace, [key, value, ...words]: readonly string[]): Reply {
  const options = setOptions(keys, words);
  const before = options.get ? (keys.get(key!, 'string') ?? null) : null;
  const there = keys.entry(key!);
  const blocked = options.condition === 'NX' ? there : options.condition === 'XX' && !there;
  if (blocked) return options.get ? before : null;
  const kept = options.keepTtl ? (there?.expiresAt ?? null) : null;
  keys.put(key!, 'string', value!, options.expiresAt ?? kept);
  return options.get ? before : OK;
}

function change(keys: Keyspace, key: string, by: bigint): bigint {
  const entry = keys.entry(key);
  const next = added(integer(keys.get(key, 'string') ?? '0'), by);
  keys.put(key, 'string', next.toString(), entry?.expiresAt ?? null);
  return next;
}

/** Integers beyond 2^53 travel as text: JSON has no other way. Redis' own REST answers do the same. */
const asReply = (value: bigint): Reply =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value.toString();

function getEx(keys: Keyspace, [key, ...words]: readonly string[]): Reply {
  const [first, amount, ...rest] = words;
  const unit = first?.toUpperCase();
  const valid =
    unit === undefined ||
    (unit === 'PERSIST' && amount === undefined) ||
    (EXPIRY.has(unit) && amount !== undefined && rest.length === 0);
  if (!valid) throw syntaxError();
  const value = keys.get(key!, 'string');
  if (value === undefined) return null;
  if (unit === 'PERSIST') keys.put(key!, 'string', value);
  else if (unit) keys.put(key!, 'string', value, instant(keys, unit, amount!, 'getex'));
  return value;
}

/**
 * The part from `from` to `to`, both included, negative ones counted from the end. Before the beginning means
 * the first byte, at either side: Redis answers `a` for GETRANGE of `a` from -100 to -2.
 */
function range(value: string, from: number, to: number): string {
  if (from < 0 && to < 0 && from > to) return '';
  const start = Math.max(from < 0 ? value.length + from : from, 0);
  const end = Math.max(to < 0 ? value.length + to : to, 0);
  return start > end ? '' : value.slice(start, end + 1);
}

function setRange(keys: Keyspace, [key, offset, value]: readonly string[]): Reply {
  const at = small(offset!);
  if (at < 0) throw new ReplyError('ERR offset is out of range');
  const before = keys.get(key!, 'string') ?? '';
  if (value === '') return before.length;
  if (at + value!.length > MAX_LENGTH) {
    throw new ReplyError('ERR string exceeds maximum allowed size (proto-max-bulk-len)');
  }
  const next = before.padEnd(at, '\0').slice(0, at) + value + before.slice(at + value!.length);
  keys.put(key!, 'string', next, keys.entry(key!)?.expiresAt ?? null);
  return next.length;
}

function setEach(keys: Keyspace, pairs: readonly string[], name: string): void {
  if (pairs.length % 2 !== 0) throw wrongArity(name);
  for (let i = 0; i < pairs.length; i += 2) keys.put(pairs[i]!, 'string', pairs[i + 1]!);
}

export const strings: Commands = {
  GET: reads(2, (keys, [key]) => keys.get(key!, 'string') ?? null),
  SET: writes(-3, set),
  SETNX: writes(3, (keys, [key, value]) => {
    if (keys.entry(key!)) return 0;
    keys.put(key!, 'string', value!);
    return 1;
  }),
  SETEX: writes(4, (keys, [key, seconds, value]) => {
    keys.put(key!, 'string', value!, instant(keys, 'EX', seconds!, 'setex'));
    return OK;
  }),
  PSETEX: writes(4, (keys, [key, milliseconds, value]) => {
    keys.put(key!, 'string', value!, instant(keys, 'PX', milliseconds!, 'psetex'));
    return OK;
  }),
  GETSET: writes(3, (keys, [key, value]) => {
    const before = keys.get(key!, 'string') ?? null;
    keys.put(key!, 'string', value!);
    return before;
  }),
  GETDEL: writes(2, (keys, [key]) => {
    const value = keys.get(key!, 'string');
    if (value === undefined) return null;
    keys.delete(key!);
    return value;
  }),
  GETEX: writes(-2, getEx),
  MGET: reads(-2, (keys, names) =>
    names.map((key) => {
      const entry = keys.entry(key);
      return entry?.kind === 'string' ? (entry.value as string) : null;
    }),
  ),
  MSET: writes(-3, (keys, pairs) => {
    setEach(keys, pairs, 'mset');
    return OK;
  }),
  MSETNX: writes(-3, (keys, pairs) => {
    if (pairs.length % 2 !== 0) throw wrongArity('msetnx');
    if (pairs.some((key, i) => i % 2 === 0 && keys.entry(key))) return 0;
    setEach(keys, pairs, 'msetnx');
    return 1;
  }),
  INCR: writes(2, (keys, [key]) => asReply(change(keys, key!, 1n))),
  DECR: writes(2, (keys, [key]) => asReply(change(keys, key!, -1n))),
  INCRBY: writes(3, (keys, [key, by]) => asReply(change(keys, key!, integer(by!)))),
  DECRBY: writes(3, (keys, [key, by]) => {
    const amount = integer(by!);
    if (amount === -(2n ** 63n)) throw new ReplyError('ERR decrement would overflow');
    return asReply(change(keys, key!, -amount));
  }),
  APPEND: writes(3, (keys, [key, more]) => {
    const next = (keys.get(key!, 'string') ?? '') + more;
    keys.put(key!, 'string', next, keys.entry(key!)?.expiresAt ?? null);
    return next.length;
  }),
  STRLEN: reads(2, (keys, [key]) => (keys.get(key!, 'string') ?? '').length),
  GETRANGE: reads(4, (keys, [key, from, to]) => {
    const [start, end] = [small(from!), small(to!)];
    return range(keys.get(key!, 'string') ?? '', start, end);
  }),
  SETRANGE: writes(4, setRange),
};
