/**
 * What a Redis command answers. Strings are byte strings: one character is one byte (latin1), so lengths,
 * ranges and binary values are those of Redis; rest.ts turns text into bytes and back.
 */
export type Reply = string | number | null | Status | ReplyError | readonly Reply[];

/** A status such as OK: differs from a string only inside Lua and in the protocol. */
export class Status {
  constructor(readonly text: string) {}
}

/** An error as an answer; thrown by commands, an item like any other inside a pipeline. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError';
}

export const OK = new Status('OK');

export const wrongType = () =>
  new ReplyError('WRONGTYPE Operation against a key holding the wrong kind of value');
export const notAnInteger = () => new ReplyError('ERR value is not an integer or out of range');
export const notAFloat = () => new ReplyError('ERR value is not a valid float');
export const syntaxError = () => new ReplyError('ERR syntax error');
export const overflow = () => new ReplyError('ERR increment or decrement would overflow');
export const wrongArity = (command: string) =>
  new ReplyError(`ERR wrong number of arguments for '${command.toLowerCase()}' command`);

/** Text to bytes and back. */
export const toBytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
export const toText = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');
