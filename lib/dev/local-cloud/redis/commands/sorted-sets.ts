/** Sorted sets: by score, then by the member's bytes. Lexical ranges are refused, not approximated. */
import type { Keyspace } from '../keyspace';
import { score, scoreText, small } from '../numbers';
import { type Reply, ReplyError, syntaxError } from '../reply';
import { type Command, type Commands, reads, writes } from './command';

type Member = readonly [string, number];
const make = () => new Map<string, number>();
const notFloat = () => new ReplyError('ERR min or max is not a float');

function sorted(set: ReadonlyMap<string, number> | undefined): Member[] {
  return [...(set ?? [])].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));
}

function reply(members: readonly Member[], withScores: boolean): string[] {
  return members.flatMap(([member, value]) => (withScores ? [member, scoreText(value)] : [member]));
}

/** `(5` excludes 5 itself. */
function limit(text: string): { value: number; open: boolean } {
  const open = text.startsWith('(');
  return { value: score(open ? text.slice(1) : text, notFloat), open };
}

function within(min: string, max: string): (m: Member) => boolean {
  const [low, high] = [limit(min), limit(max)];
  return ([, v]) =>
    (low.open ? v > low.value : v >= low.value) && (high.open ? v < high.value : v <= high.value);
}

interface RangeOptions {
  readonly byScore: boolean;
  readonly reverse: boolean;
  readonly withScores: boolean;
  readonly limit: readonly [number, number] | undefined;
}

function rangeOptions(words: readonly string[]): RangeOptions {
  let [byScore, reverse, withScores] = [false, false, false];
  let page: [number, number] | undefined;
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i]!.toUpperCase();
    if (word === 'BYSCORE') byScore = true;
    else if (word === 'REV') reverse = true;
    else if (word === 'WITHSCORES') withScores = true;
    else if (word === 'LIMIT' && i + 2 < words.length) page = [small(words[++i]!), small(words[++i]!)];
    else if (word === 'BYLEX') throw new ReplyError('ERR BYLEX is not known to the local engine');
    else throw syntaxError();
  }
  if (page && !byScore) {
    throw new ReplyError(
      'ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX',
    );
  }
  return { byScore, reverse, withScores, limit: page };
}

function range(keys: Keyspace, key: string, from: string, to: string, options: RangeOptions): Reply {
  if (options.byScore) {
    const fits = options.reverse ? within(to, from) : within(from, to);
    const found = sorted(keys.get(key, 'zset')).filter(fits);
    if (options.reverse) found.reverse();
    const [offset, count] = options.limit ?? [0, -1];
    const page = offset < 0 ? [] : found.slice(offset, count < 0 ? undefined : offset + count);
    return reply(page, options.withScores);
  }
  const wanted = [small(from), small(to)] as const;
  const all = sorted(keys.get(key, 'zset'));
  if (options.reverse) all.reverse();
  const [start, last] = wanted.map((i) => (i < 0 ? all.length + i : i)) as [number, number];
  return reply(all.slice(Math.max(start, 0), Math.max(last + 1, 0)), options.withScores);
}

interface AddOptions {
  flags: Set<string>;
  pairs: [string, number][];
}

function addOptions(words: readonly string[]): AddOptions {
  const flags = new Set<string>();
  let i = 0;
  for (; ['NX', 'XX', 'GT', 'LT', 'CH', 'INCR'].includes(words[i]?.toUpperCase() ?? ''); i += 1) {
    flags.add(words[i]!.toUpperCase());
  }
  const rest = words.slice(i);
  if (rest.length === 0 || rest.length % 2 !== 0) throw syntaxError();
  if (flags.has('NX') && flags.has('XX')) {
    throw new ReplyError('ERR XX and NX options at the same time are not compatible');
  }
  if ((flags.has('GT') && (flags.has('NX') || flags.has('LT'))) || (flags.has('LT') && flags.has('NX'))) {
    throw new ReplyError('ERR GT, LT, and/or NX options at the same time are not compatible');
  }
  if (flags.has('INCR') && rest.length > 2) {
    throw new ReplyError('ERR INCR option supports a single increment-element pair');
  }
  const pairs: [string, number][] = [];
  for (let j = 0; j < rest.length; j += 2) pairs.push([rest[j + 1]!, score(rest[j]!)]);
  return { flags, pairs };
}

function add(keys: Keyspace, [key, ...words]: readonly string[]): Reply {
  const { flags, pairs } = addOptions(words);
  const has = (flag: string) => flags.has(flag);
  const there = keys.get(key!, 'zset');
  if (!there && has('XX')) return has('INCR') ? null : 0;
  const set = keys.open(key!, 'zset', make);
  let [fresh, changed] = [0, 0];
  let last: number | null = null;
  for (const [member, given] of pairs) {
    const before = set.get(member);
    const next = has('INCR') ? (before ?? 0) + given : given;
    if (Number.isNaN(next)) throw new ReplyError('ERR resulting score is not a number (NaN)');
    last = null;
    if (before === undefined ? has('XX') : has('NX')) continue;
    if (before !== undefined && ((has('GT') && next <= before) || (has('LT') && next >= before))) continue;
    last = next;
    if (before === undefined) fresh += 1;
    else if (before !== next) changed += 1;
    set.set(member, next);
  }
  keys.shrunk(key!);
  if (has('INCR')) return last === null ? null : scoreText(last);
  return has('CH') ? fresh + changed : fresh;
}

function remove(keys: Keyspace, key: string, members: readonly string[]): number {
  const set = keys.get(key, 'zset');
  if (!set) return 0;
  const gone = members.filter((member) => set.delete(member)).length;
  keys.shrunk(key);
  return gone;
}

function pop(fromTop: boolean): Command {
  return writes(-2, (keys, [key, count]) => {
    const wanted =
      count === undefined
        ? 1
        : small(count, () => new ReplyError('ERR value is out of range, must be positive'));
    if (wanted < 0) throw new ReplyError('ERR value is out of range, must be positive');
    const all = sorted(keys.get(key!, 'zset'));
    if (fromTop) all.reverse();
    const taken = all.slice(0, wanted);
    remove(
      keys,
      key!,
      taken.map(([member]) => member),
    );
    return reply(taken, true);
  });
}

function rank(fromTop: boolean): Command {
  return reads(3, (keys, [key, member]) => {
    const all = sorted(keys.get(key!, 'zset'));
    if (fromTop) all.reverse();
    const at = all.findIndex(([m]) => m === member);
    return at < 0 ? null : at;
  });
}

const scoreOf = (keys: Keyspace, key: string, member: string): string | null => {
  const value = keys.get(key, 'zset')?.get(member);
  return value === undefined ? null : scoreText(value);
};

export const sortedSets: Commands = {
  ZADD: writes(-4, add),
  ZINCRBY: writes(4, (keys, [key, by, member]) => add(keys, [key!, 'INCR', by!, member!])),
  ZREM: writes(-3, (keys, [key, ...members]) => remove(keys, key!, members)),
  ZCARD: reads(2, (keys, [key]) => keys.get(key!, 'zset')?.size ?? 0),
  ZSCORE: reads(3, (keys, [key, member]) => scoreOf(keys, key!, member!)),
  ZMSCORE: reads(-3, (keys, [key, ...members]) => members.map((m) => scoreOf(keys, key!, m))),
  ZCOUNT: reads(4, (keys, [key, min, max]) => {
    const fits = within(min!, max!);
    return sorted(keys.get(key!, 'zset')).filter(fits).length;
  }),
  ZRANGE: reads(-4, (keys, [key, from, to, ...words]) => range(keys, key!, from!, to!, rangeOptions(words))),
  ZREVRANGE: reads(-4, (keys, [key, from, to, ...words]) =>
    range(keys, key!, from!, to!, { ...onlyScores(words), reverse: true }),
  ),
  ZRANGEBYSCORE: reads(-4, (keys, [key, min, max, ...words]) =>
    range(keys, key!, min!, max!, rangeOptions([...words, 'BYSCORE'])),
  ),
  ZREVRANGEBYSCORE: reads(-4, (keys, [key, max, min, ...words]) =>
    range(keys, key!, max!, min!, rangeOptions([...words, 'BYSCORE', 'REV'])),
  ),
  ZRANK: rank(false),
  ZREVRANK: rank(true),
  ZPOPMIN: pop(false),
  ZPOPMAX: pop(true),
  ZREMRANGEBYSCORE: writes(4, (keys, [key, min, max]) => {
    const fits = within(min!, max!);
    return remove(
      keys,
      key!,
      sorted(keys.get(key!, 'zset'))
        .filter(fits)
        .map(([m]) => m),
    );
  }),
  ZREMRANGEBYRANK: writes(4, (keys, [key, from, to]) => {
    const found = range(keys, key!, from!, to!, rangeOptions([])) as string[];
    return remove(keys, key!, found);
  }),
};

function onlyScores(words: readonly string[]): RangeOptions {
  if (words.length > 1 || (words[0] && words[0].toUpperCase() !== 'WITHSCORES')) throw syntaxError();
  return rangeOptions(words);
}
