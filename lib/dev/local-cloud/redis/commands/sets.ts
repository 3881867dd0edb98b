/** Sets. */
import type { Keyspace } from '../keyspace';
import { type Command, type Commands, reads, writes } from './command';
import { scanPage } from './keys';

const NONE: ReadonlySet<string> = new Set();

function combine(how: (sets: readonly ReadonlySet<string>[]) => string[]): Command {
  return reads(-2, (keys, names) => how(names.map((key) => keys.get(key, 'set') ?? NONE)));
}

/** The first of `names` without what `keep` refuses. */
const first = (
  sets: readonly ReadonlySet<string>[],
  keep: (m: string, others: readonly ReadonlySet<string>[]) => boolean,
) => [...sets[0]!].filter((m) => keep(m, sets.slice(1)));

function move(keys: Keyspace, [from, to, member]: readonly string[]): number {
  const source = keys.get(from!, 'set');
  if (!source) return 0;
  keys.get(to!, 'set');
  if (!source.has(member!)) return 0;
  if (from === to) return 1;
  source.delete(member!);
  keys.shrunk(from!);
  keys.open(to!, 'set', () => new Set()).add(member!);
  return 1;
}

export const sets: Commands = {
  SADD: writes(-3, (keys, [key, ...members]) => {
    const set = keys.open(key!, 'set', () => new Set());
    const before = set.size;
    for (const member of members) set.add(member);
    return set.size - before;
  }),
  SREM: writes(-3, (keys, [key, ...members]) => {
    const set = keys.get(key!, 'set');
    if (!set) return 0;
    const gone = members.filter((member) => set.delete(member)).length;
    keys.shrunk(key!);
    return gone;
  }),
  SMEMBERS: reads(2, (keys, [key]) => [...(keys.get(key!, 'set') ?? NONE)]),
  SISMEMBER: reads(3, (keys, [key, member]) => (keys.get(key!, 'set')?.has(member!) ? 1 : 0)),
  SMISMEMBER: reads(-3, (keys, [key, ...members]) => {
    const set = keys.get(key!, 'set') ?? NONE;
    return members.map((member) => (set.has(member) ? 1 : 0));
  }),
  SCARD: reads(2, (keys, [key]) => keys.get(key!, 'set')?.size ?? 0),
  SINTER: combine((all) => first(all, (m, others) => others.every((s) => s.has(m)))),
  SDIFF: combine((all) => first(all, (m, others) => !others.some((s) => s.has(m)))),
  SUNION: combine((all) => [...new Set(all.flatMap((s) => [...s]))]),
  SMOVE: writes(4, move),
  SSCAN: reads(-3, (keys, [key, cursor, ...words]) =>
    scanPage(cursor!, words, () => [...(keys.get(key!, 'set') ?? NONE)], 1),
  ),
};
