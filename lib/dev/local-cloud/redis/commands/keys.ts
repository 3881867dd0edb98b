/** Keys whatever their kind: deletion, expiry, names and walking over them. */
import { globMatcher } from '../glob';
import type { Keyspace } from '../keyspace';
import { small } from '../numbers';
import { OK, type Reply, ReplyError, Status, syntaxError } from '../reply';
import { type Command, type Commands, reads, writes } from './command';
import { invalidExpire } from './strings';

const count = (keys: Keyspace, names: readonly string[], each: (key: string) => boolean): number =>
  names.filter((key) => keys.entry(key) && each(key)).length;

/** `unit` 1000 for seconds; `absolute` for the …AT commands. */
function expire(unit: 1 | 1000, absolute: boolean): Command {
  return writes(-3, (keys, [key, amount, ...words], name) => {
    const when = small(amount!) * unit + (absolute ? 0 : keys.now);
    if (!Number.isSafeInteger(when)) throw invalidExpire(name);
    const conditions = new Set(words.map((w) => w.toUpperCase()));
    for (const word of conditions) {
      if (!['NX', 'XX', 'GT', 'LT'].includes(word))
        throw new ReplyError(`ERR Unsupported option ${words[0]}`);
    }
    if (conditions.has('NX') && conditions.size > 1) {
      throw new ReplyError('ERR NX and XX, GT or LT options at the same time are not compatible');
    }
    if (conditions.has('GT') && conditions.has('LT')) {
      throw new ReplyError('ERR GT and LT options at the same time are not compatible');
    }
    const entry = keys.entry(key!);
    if (!entry) return 0;
    const now = entry.expiresAt ?? Number.POSITIVE_INFINITY;
    if (conditions.has('NX') && entry.expiresAt !== null) return 0;
    if (conditions.has('XX') && entry.expiresAt === null) return 0;
    if (conditions.has('GT') && when <= now) return 0;
    if (conditions.has('LT') && when >= now) return 0;
    entry.expiresAt = when;
    keys.touched();
    keys.entry(key!);
    return 1;
  });
}

/** −2 without the key, −1 without an expiry. */
function remaining(answer: (expiresAt: number, now: number) => number): Command {
  return reads(2, (keys, [key]) => {
    const entry = keys.entry(key!);
    if (!entry) return -2;
    return entry.expiresAt === null ? -1 : answer(entry.expiresAt, keys.now);
  });
}

function rename(keys: Keyspace, from: string, to: string, onlyIfFree: boolean): boolean {
  const entry = keys.entry(from);
  if (!entry) throw new ReplyError('ERR no such key');
  if (onlyIfFree && keys.entry(to)) return false;
  keys.delete(from);
  keys.put(to, entry.kind, entry.value, entry.expiresAt);
  return true;
}

/**
 * The whole answer in one page: Redis promises that each element present throughout is returned at least
 * once, and nothing about the size of a page.
 */
export function scanPage(
  cursor: string,
  words: readonly string[],
  all: () => readonly string[],
  width: 1 | 2,
  kindOf?: (key: string) => string | undefined,
): Reply {
  if (!/^\d+$/.test(cursor)) throw new ReplyError('ERR invalid cursor');
  const flat = all();
  // Redis looks at the options only when there is something to walk over.
  if (!kindOf && flat.length === 0) return ['0', []];
  let matches: (text: string) => boolean = () => true;
  let kind: string | undefined;
  for (let i = 0; i < words.length; i += 2) {
    const [option, value] = [words[i]!.toUpperCase(), words[i + 1]];
    if (value === undefined) throw syntaxError();
    if (option === 'MATCH') matches = globMatcher(value);
    else if (option === 'COUNT') {
      if (small(value) < 1) throw syntaxError();
    } else if (option === 'TYPE' && kindOf) kind = value.toLowerCase();
    else throw syntaxError();
  }
  if (cursor !== '0') return ['0', []];
  const page: string[] = [];
  for (let i = 0; i < flat.length; i += width) {
    const key = flat[i]!;
    if (matches(key) && (kind === undefined || kindOf?.(key) === kind))
      page.push(...flat.slice(i, i + width));
  }
  return ['0', page];
}

const remove: Command = writes(-2, (keys, names) => count(keys, names, (key) => keys.delete(key)));

export const keyCommands: Commands = {
  DEL: remove,
  UNLINK: remove,
  EXISTS: reads(-2, (keys, names) => count(keys, names, () => true)),
  TOUCH: reads(-2, (keys, names) => count(keys, names, () => true)),
  TYPE: reads(2, (keys, [key]) => new Status(keys.entry(key!)?.kind ?? 'none')),
  EXPIRE: expire(1000, false),
  PEXPIRE: expire(1, false),
  EXPIREAT: expire(1000, true),
  PEXPIREAT: expire(1, true),
  TTL: remaining((at, now) => Math.floor((at - now + 500) / 1000)),
  PTTL: remaining((at, now) => at - now),
  EXPIRETIME: remaining((at) => Math.floor((at + 500) / 1000)),
  PEXPIRETIME: remaining((at) => at),
  PERSIST: writes(2, (keys, [key]) => {
    const entry = keys.entry(key!);
    if (!entry || entry.expiresAt === null) return 0;
    entry.expiresAt = null;
    keys.touched();
    return 1;
  }),
  RENAME: writes(3, (keys, [from, to]) => {
    rename(keys, from!, to!, false);
    return OK;
  }),
  RENAMENX: writes(3, (keys, [from, to]) => (rename(keys, from!, to!, true) ? 1 : 0)),
  KEYS: reads(2, (keys, [pattern]) => keys.keys().filter(globMatcher(pattern!))),
  SCAN: reads(-2, (keys, [cursor, ...words]) =>
    scanPage(
      cursor!,
      words,
      () => keys.keys(),
      1,
      (key) => keys.entry(key)?.kind,
    ),
  ),
  DBSIZE: reads(1, (keys) => keys.keys().length),
};
