/** Reads replies of the Redis protocol (RESP2) from chunks that may end anywhere. */
import { type Reply, ReplyError, Status } from './reply';

/** Not enough bytes yet. */
const MORE = Symbol('more');

export class ReplyReader {
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(readonly onReply: (reply: Reply) => void) {}

  push(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      this.#at = 0;
      const reply = this.#read();
      if (reply === MORE) return;
      this.#buffer = this.#buffer.subarray(this.#at);
      this.onReply(reply);
    }
  }

  #line(): string | typeof MORE {
    const end = this.#buffer.indexOf('\r\n', this.#at);
    if (end < 0) return MORE;
    const line = this.#buffer.toString('latin1', this.#at, end);
    this.#at = end + 2;
    return line;
  }

  #read(): Reply | typeof MORE {
    const line = this.#line();
    if (line === MORE) return MORE;
    const rest = line.slice(1);
    switch (line[0]) {
      case '+':
        return new Status(rest);
      case '-':
        return new ReplyError(rest);
      case ':':
        return Number.isSafeInteger(Number(rest)) ? Number(rest) : rest;
      case '$':
        return this.#bulk(Number(rest));
      case '*':
        return this.#array(Number(rest));
      default:
        throw new Error(`not a reply of Redis: ${line.slice(0, 20)}`);
    }
  }

  #bulk(length: number): string | null | typeof MORE {
    if (length < 0) return null;
    if (this.#buffer.length < this.#at + length + 2) return MORE;
    const value = this.#buffer.toString('latin1', this.#at, this.#at + length);
    this.#at += length + 2;
    return value;
  }

  #array(length: number): Reply | typeof MORE {
    if (length < 0) return null;
    const items: Reply[] = [];
    for (let i = 0; i < length; i += 1) {
      const item = this.#read();
      if (item === MORE) return MORE;
      items.push(item);
    }
    return items;
  }
}
