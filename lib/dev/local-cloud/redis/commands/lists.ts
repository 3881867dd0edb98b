/** Lists. */
import type { Keyspace } from '../keyspace';
import { small } from '../numbers';
import { OK, type Reply, ReplyError, syntaxError } from '../reply';
import { type Command, type Commands, reads, writes } from './command';

type End = 'left' | 'right';

function push(end: End, onlyIfThere: boolean): Command {
  return writes(-3, (keys, [key, ...values]) => {
    if (onlyIfThere && keys.get(key!, 'list') === undefined) return 0;
    const list = keys.open(key!, 'list', () => []);
    for (const value of values) end === 'left' ? list.unshift(value) : list.push(value);
    return list.length;
  });
}

function pop(end: End): Command {
  return writes(-2, (keys, [key, count, ...rest], name) => {
    if (rest.length > 0)
      throw new ReplyError(`ERR wrong number of arguments for '${name.toLowerCase()}' command`);
    const wanted = count === undefined ? 1 : small(count, outOfRange);
    if (wanted < 0) throw outOfRange();
    const list = keys.get(key!, 'list');
    if (!list) return null;
    const taken =
      end === 'left' ? list.splice(0, wanted) : list.splice(Math.max(list.length - wanted, 0)).reverse();
    keys.shrunk(key!);
    return count === undefined ? taken[0]! : taken;
  });
}

const outOfRange = () => new ReplyError('ERR value is out of range, must be positive');

/** First and last index meant, clipped to the list. */
function bounds(length: number, from: number, to: number): [number, number] {
  const start = Math.max(from < 0 ? length + from : from, 0);
  return [start, Math.min(to < 0 ? length + to : to, length - 1)];
}

function removeEqual(keys: Keyspace, [key, count, value]: readonly string[]): Reply {
  const limit = small(count!);
  const list = keys.get(key!, 'list');
  if (!list) return 0;
  let left = Math.abs(limit) || list.length;
  let gone = 0;
  const step = limit < 0 ? -1 : 1;
  for (let i = limit < 0 ? list.length - 1 : 0; i >= 0 && i < list.length && left > 0; i += step) {
    if (list[i] !== value) continue;
    list.splice(i, 1);
    left -= 1;
    gone += 1;
    if (step > 0) i -= 1;
  }
  keys.shrunk(key!);
  return gone;
}

function move(keys: Keyspace, from: string, to: string, take: End, give: End): Reply {
  const source = keys.get(from, 'list');
  if (!source) return null;
  keys.get(to, 'list');
  const value = (take === 'left' ? source.shift() : source.pop())!;
  const target = keys.open(to, 'list', () => []);
  if (give === 'left') target.unshift(value);
  else target.push(value);
  keys.shrunk(from);
  return value;
}

function end(word: string): End {
  const upper = word.toUpperCase();
  if (upper !== 'LEFT' && upper !== 'RIGHT') throw syntaxError();
  return upper === 'LEFT' ? 'left' : 'right';
}

export const lists: Commands = {
  LPUSH: push('left', false),
  RPUSH: push('right', false),
  LPUSHX: push('left', true),
  RPUSHX: push('right', true),
  LPOP: pop('left'),
  RPOP: pop('right'),
  LLEN: reads(2, (keys, [key]) => keys.get(key!, 'list')?.length ?? 0),
  LRANGE: reads(4, (keys, [key, from, to]) => {
    const wanted = [small(from!), small(to!)] as const;
    const list = keys.get(key!, 'list') ?? [];
    const [start, last] = bounds(list.length, ...wanted);
    return list.slice(start, last + 1);
  }),
  LTRIM: writes(4, (keys, [key, from, to]) => {
    const wanted = [small(from!), small(to!)] as const;
    const list = keys.get(key!, 'list');
    if (!list) return OK;
    const [start, last] = bounds(list.length, ...wanted);
    const kept = list.slice(start, last + 1);
    list.splice(0, list.length, ...kept);
    keys.shrunk(key!);
    return OK;
  }),
  LINDEX: reads(3, (keys, [key, index]) => {
    const list = keys.get(key!, 'list');
    if (!list) return null;
    return list.at(small(index!)) ?? null;
  }),
  LSET: writes(4, (keys, [key, index, value]) => {
    const list = keys.get(key!, 'list');
    if (!list) throw new ReplyError('ERR no such key');
    const wanted = small(index!);
    const at = wanted < 0 ? list.length + wanted : wanted;
    if (at < 0 || at >= list.length) throw new ReplyError('ERR index out of range');
    list[at] = value!;
    keys.touched();
    return OK;
  }),
  LREM: writes(4, removeEqual),
  LMOVE: writes(5, (keys, [from, to, take, give]) => move(keys, from!, to!, end(take!), end(give!))),
  RPOPLPUSH: writes(3, (keys, [from, to]) => move(keys, from!, to!, 'right', 'left')),
};
