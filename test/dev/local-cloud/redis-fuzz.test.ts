/**
 * The same random commands through the small engine and a real Redis: every reply must be the same. Needs
 * TEST_REDIS_URL; FUZZ_COMMANDS and FUZZ_SEED run more or others.
 */
import { randomUUID } from 'node:crypto';
import { describe, expect, inject, it } from 'vitest';
import { RedisEngine } from '@/lib/dev/local-cloud/redis/engine';
import { type Reply, ReplyError, Status } from '@/lib/dev/local-cloud/redis/reply';
import { RedisConnection } from '@/lib/dev/local-cloud/redis/resp';
import { fuzzer } from './redis-commands';

const COMMANDS = Number(process.env.FUZZ_COMMANDS ?? 20_000);
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_121);

/** Their members have no order of their own. */
const UNORDERED = /^(HGETALL|HKEYS|HVALS|SMEMBERS|SINTER|SUNION|SDIFF|KEYS|SCAN|SSCAN|HSCAN)$/;

function plain(reply: Reply): unknown {
  if (reply instanceof Status) return { status: reply.text };
  if (reply instanceof ReplyError) return { error: firstWords(reply.message) };
  // Redis 7.0 prints a score with 17 digits, later ones as short as possible: the same number.
  if (typeof reply === 'string' && /^-?\d+\.\d{13,}$/.test(reply)) return String(Number(reply));
  return Array.isArray(reply) ? reply.map(plain) : reply;
}

/** A script's error ends in where it happened, which differs by version. */
function firstWords(message: string): string {
  return message.replace(/ script: [0-9a-f]{40}.*$/, '').replace(/,? with args beginning with: .*$/, '');
}

function comparable(command: readonly string[], reply: Reply, prefix: string): string {
  const name = command[0]!.toUpperCase();
  let shown = JSON.stringify(plain(reply)).replaceAll(prefix, '');
  // Inside Redis' Lua an integer beyond 2^53 loses its last digits, or overflows; the engine keeps it.
  if (name === 'EVAL') shown = shown.replaceAll(/"-?\d{16,}"/g, '"beyond 2^53"');
  if (UNORDERED.test(name) && Array.isArray(reply)) {
    const flat = (name.endsWith('SCAN') ? reply[1] : reply) as string[];
    const items = Array.isArray(flat) ? flat.map((v) => String(v).replaceAll(prefix, '')) : [];
    const pairs = /^(HGETALL|HSCAN)$/.test(name)
      ? items.flatMap((v, i) => (i % 2 ? [] : [`${v}=${items[i + 1]}`]))
      : items;
    shown = pairs.sort().join();
  }
  return shown;
}

describe.runIf(inject('cloud').redisUrl)('the small engine', () => {
  it(`answers ${COMMANDS} random commands as a real Redis does`, async () => {
    const prefix = `fuzz-${randomUUID()}:`;
    const real = new RedisConnection(inject('cloud').redisUrl!);
    const own = new RedisEngine();
    const next = fuzzer(SEED, prefix);
    const different: string[] = [];
    for (let i = 0; i < COMMANDS; i += 50) {
      const commands = Array.from({ length: 50 }, next);
      const [theirs, ours] = [await real.run(commands), await own.run(commands)];
      commands.forEach((command, j) => {
        const [a, b] = [comparable(command, theirs[j]!, prefix), comparable(command, ours[j]!, prefix)];
        if (a !== b)
          different.push(`${command.join(' ').replaceAll(prefix, '')}\n  redis  ${a}\n  engine ${b}`);
      });
    }
    const keys = (await real.run([['KEYS', `${prefix}*`]]))[0] as string[];
    if (keys.length > 0) await real.run([['DEL', ...keys]]);
    await real.close();
    expect(different.slice(0, 20).join('\n')).toBe('');
    expect(different).toHaveLength(0);
  });
});
