/**
 * The Upstash REST protocol over either backend: `/` one command, `/pipeline`, `/multi-exec`, and commands
 * as a path (`/get/key`). Commands that need a connection of one's own are refused, as Upstash refuses them,
 * whatever stands behind.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Answer, ServiceHandler, ServiceRequest } from '../server';
import type { RedisBackend } from './backend';
import { type Reply, ReplyError, Status, toBytes, toText } from './reply';

/** Upstash's own limit of a request. */
const MAX_REQUEST_BYTES = 10 * 1024 * 1024;

const REFUSED = new Set(
  [
    'ACL AUTH BGREWRITEAOF BGSAVE BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN CLIENT CLUSTER',
    'CONFIG DEBUG DISCARD EXEC FAILOVER HELLO LASTSAVE LATENCY MIGRATE MODULE MONITOR MULTI PSUBSCRIBE PSYNC',
    'PUNSUBSCRIBE QUIT REPLICAOF RESET ROLE SAVE SELECT SHUTDOWN SLAVEOF SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE',
    'SWAPDB SYNC UNSUBSCRIBE UNWATCH WAIT WAITAOF WATCH',
  ].flatMap((line) => line.split(' ')),
);

export function redisEndpoint(backend: RedisBackend, token: string): ServiceHandler {
  return {
    service: 'redis',
    prefix: '/redis',
    maxRequestBytes: MAX_REQUEST_BYTES,
    tooLarge: () => failure(413, 'ERR max request size exceeded. Limit: 10485760 bytes'),
    refuse: (fault) => {
      const refused = failure(
        fault.status,
        fault.message ?? `ERR ${fault.code ?? 'refused by the local cloud'}`,
      );
      const retry: Record<string, string> =
        fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) };
      return { ...refused, headers: { ...refused.headers, ...retry } };
    },
    async handle(request) {
      if (!isAuthorized(request, token)) return failure(401, 'WRONGPASS invalid or missing auth token');
      const base64 = request.headers['upstash-encoding'] === 'base64';
      try {
        return await answer(backend, request, base64);
      } catch (error) {
        if (error instanceof ReplyError) return failure(400, toText(error.message));
        throw error;
      }
    },
  };
}

async function answer(backend: RedisBackend, request: ServiceRequest, base64: boolean): Promise<Answer> {
  const shaped = (reply: Reply) =>
    reply instanceof ReplyError ? { error: toText(reply.message) } : { result: asJson(reply, base64) };
  switch (request.path) {
    case '/pipeline':
      return json(200, (await runEach(backend, commandList(request.body))).map(shaped));
    case '/multi-exec': {
      const list = commandList(request.body);
      for (const command of list) refuse(command);
      return json(200, (await backend.transaction(list)).map(shaped));
    }
    default: {
      const command = request.path === '/' ? words(parsed(request.body)) : fromPath(request);
      refuse(command);
      const [reply] = await backend.run([command]);
      if (reply instanceof ReplyError) throw reply;
      return json(200, shaped(reply!));
    }
  }
}

/** A refused command of a pipeline is an error in its place; the others run. */
async function runEach(backend: RedisBackend, list: readonly string[][]): Promise<Reply[]> {
  const refused = list.map((command) => {
    try {
      refuse(command);
      return undefined;
    } catch (error) {
      return error as ReplyError;
    }
  });
  const replies = await backend.run(list.filter((_, i) => !refused[i]));
  return refused.map((error) => error ?? replies.shift()!);
}

function refuse([name = '']: readonly string[]): void {
  if (REFUSED.has(name.toUpperCase())) {
    throw new ReplyError(`ERR Command is not available over REST: '${name.toUpperCase()}'`);
  }
}

function isAuthorized(request: ServiceRequest, token: string): boolean {
  const given = request.headers.authorization?.replace(/^Bearer /i, '') ?? request.query.get('_token') ?? '';
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new ReplyError('ERR failed to parse JSON body');
  }
}

function words(value: unknown): string[] {
  if (!Array.isArray(value) || value.length === 0) throw new ReplyError('ERR empty command');
  return value.map((word) => {
    if (word === null) throw new ReplyError('ERR null is no argument');
    return toBytes(typeof word === 'string' ? word : JSON.stringify(word));
  });
}

function commandList(body: Buffer): string[][] {
  const list = parsed(body);
  if (!Array.isArray(list)) throw new ReplyError('ERR the body must be an array of commands');
  if (list.length === 0) throw new ReplyError('ERR empty pipeline request');
  return list.map(words);
}

/** `POST /set/key` with the value as the body; query parameters follow as options. */
function fromPath(request: ServiceRequest): string[] {
  const command = request.path.slice(1).split('/').map(decodeURIComponent).map(toBytes);
  if (request.method === 'POST' && request.body.length > 0) command.push(request.body.toString('latin1'));
  for (const [name, value] of request.query) {
    if (name === '_token') continue;
    command.push(toBytes(name), ...(value === '' ? [] : [toBytes(value)]));
  }
  return command;
}

/** The literal OK stays as it is, even where base64 was asked for. */
function asJson(reply: Reply, base64: boolean): unknown {
  if (reply === null || typeof reply === 'number') return reply;
  if (reply instanceof ReplyError) return toText(reply.message);
  if (typeof reply === 'object' && !(reply instanceof Status))
    return reply.map((item) => asJson(item, base64));
  const bytes = reply instanceof Status ? reply.text : reply;
  if (bytes === 'OK') return bytes;
  return base64 ? Buffer.from(bytes, 'latin1').toString('base64') : toText(bytes);
}

function json(status: number, value: unknown): Answer {
  return {
    status,
    headers: {
      'content-type': 'application/json',
      // Changes with each answer: the client sends the last one back to read its own writes.
      'upstash-sync-token': randomBytes(9).toString('base64url'),
    },
    body: JSON.stringify(value),
  };
}

function failure(status: number, error: string): Answer {
  return json(status, { error });
}
