/** Hashes. */
import type { Keyspace } from '../keyspace';
import { added, integer } from '../numbers';
import { OK, type Reply, ReplyError, wrongArity } from '../reply';
import { type Commands, reads, writes } from './command';
import { scanPage } from './keys';

const make = () => new Map<string, string>();
const flat = (hash: ReadonlyMap<string, string> | undefined) => [...(hash ?? [])].flat();

function set(keys: Keyspace, [key, ...pairs]: readonly string[], name: string): number {
  if (pairs.length % 2 !== 0) throw wrongArity(name);
  const hash = keys.open(key!, 'hash', make);
  let fresh = 0;
  for (let i = 0; i < pairs.length; i += 2) {
    if (!hash.has(pairs[i]!)) fresh += 1;
    hash.set(pairs[i]!, pairs[i + 1]!);
  }
  return fresh;
}

function increase(keys: Keyspace, [key, field, by]: readonly string[]): Reply {
  const amount = integer(by!);
  const before = keys.get(key!, 'hash')?.get(field!);
  const value = integer(before ?? '0', () => new ReplyError('ERR hash value is not an integer'));
  const next = added(value, amount);
  keys.open(key!, 'hash', make).set(field!, next.toString());
  return Number.isSafeInteger(Number(next)) ? Number(next) : next.toString();
}

export const hashes: Commands = {
  HSET: writes(-4, set),
  HMSET: writes(-4, (keys, args) => {
    set(keys, args, 'hmset');
    return OK;
  }),
  HSETNX: writes(4, (keys, [key, field, value]) => {
    if (keys.get(key!, 'hash')?.has(field!)) return 0;
    keys.open(key!, 'hash', make).set(field!, value!);
    return 1;
  }),
  HGET: reads(3, (keys, [key, field]) => keys.get(key!, 'hash')?.get(field!) ?? null),
  HMGET: reads(-3, (keys, [key, ...fields]) => {
    const hash = keys.get(key!, 'hash');
    return fields.map((field) => hash?.get(field) ?? null);
  }),
  HGETALL: reads(2, (keys, [key]) => flat(keys.get(key!, 'hash'))),
  HKEYS: reads(2, (keys, [key]) => [...(keys.get(key!, 'hash')?.keys() ?? [])]),
  HVALS: reads(2, (keys, [key]) => [...(keys.get(key!, 'hash')?.values() ?? [])]),
  HLEN: reads(2, (keys, [key]) => keys.get(key!, 'hash')?.size ?? 0),
  HSTRLEN: reads(3, (keys, [key, field]) => keys.get(key!, 'hash')?.get(field!)?.length ?? 0),
  HEXISTS: reads(3, (keys, [key, field]) => (keys.get(key!, 'hash')?.has(field!) ? 1 : 0)),
  HDEL: writes(-3, (keys, [key, ...fields]) => {
    const hash = keys.get(key!, 'hash');
    if (!hash) return 0;
    const gone = fields.filter((field) => hash.delete(field)).length;
    keys.shrunk(key!);
    return gone;
  }),
  HINCRBY: writes(4, increase),
  HSCAN: reads(-3, (keys, [key, cursor, ...words]) =>
    scanPage(cursor!, words, () => flat(keys.get(key!, 'hash')), 2),
  ),
};
