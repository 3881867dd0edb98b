/**
 * A real Redis by address (`redis://user:password@host:port/database`, `rediss://` for TLS). One connection;
 * what belongs together is written in one piece, so a transaction is never interleaved with anything.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { RedisBackend } from './backend';
import { type Reply, ReplyError } from './reply';
import { ReplyReader } from './resp-reader';

interface Waiting {
  done(reply: Reply): void;
  failed(error: Error): void;
}

export class RedisConnection implements RedisBackend {
  readonly #url: URL;
  #socket: Promise<Socket> | undefined;
  #waiting: Waiting[] = [];

  constructor(address: string) {
    this.#url = new URL(address);
    if (!/^rediss?:$/.test(this.#url.protocol))
      throw new Error(`not a Redis address: ${this.#url.protocol}//…`);
  }

  run(commands: readonly (readonly string[])[]): Promise<Reply[]> {
    return this.#send(commands);
  }

  async transaction(commands: readonly (readonly string[])[]): Promise<Reply[]> {
    const replies = await this.#send([['MULTI'], ...commands, ['EXEC']]);
    const executed = replies.at(-1)!;
    if (executed instanceof ReplyError) {
      const cause = replies.find((r) => r instanceof ReplyError && r !== executed) as ReplyError | undefined;
      throw cause ? new ReplyError(`${executed.message} ${cause.message}`) : executed;
    }
    return executed as Reply[];
  }

  async close(): Promise<void> {
    const socket = await this.#socket?.catch(() => undefined);
    this.#socket = undefined;
    socket?.destroy();
  }

  async #send(commands: readonly (readonly string[])[]): Promise<Reply[]> {
    this.#socket ??= this.#open();
    const socket = await this.#socket;
    return this.#write(socket, commands);
  }

  #write(socket: Socket, commands: readonly (readonly string[])[]): Promise<Reply[]> {
    const replies = commands.map(
      () => new Promise<Reply>((done, failed) => this.#waiting.push({ done, failed })),
    );
    socket.write(commands.map(encode).join(''), 'latin1');
    return Promise.all(replies);
  }

  #open(): Promise<Socket> {
    const { hostname: host, port, protocol, username, password, pathname } = this.#url;
    const options = { host, port: Number(port || 6379) };
    return new Promise((done, failed) => {
      const secure = protocol === 'rediss:';
      const socket = secure ? connectTls({ ...options, servername: host }) : connectTcp(options);
      const reader = new ReplyReader((reply) => this.#waiting.shift()?.done(reply));
      socket.setNoDelay(true);
      socket.on('data', (chunk) => reader.push(chunk));
      socket.on('error', (error) => {
        failed(error);
        this.#lost(error);
      });
      socket.on('close', () => this.#lost(new Error('the connection to Redis closed')));
      socket.once(secure ? 'secureConnect' : 'connect', () => {
        const login: string[][] = [];
        if (password) {
          login.push([
            'AUTH',
            ...(username ? [decodeURIComponent(username)] : []),
            decodeURIComponent(password),
          ]);
        }
        if (pathname.length > 1) login.push(['SELECT', pathname.slice(1)]);
        this.#write(socket, login).then((replies) => {
          const refused = replies.find((r) => r instanceof ReplyError) as ReplyError | undefined;
          if (!refused) return done(socket);
          failed(refused);
          socket.destroy();
        }, failed);
      });
    });
  }

  /** The next command opens a new connection; those under way do not know whether they were done. */
  #lost(error: Error): void {
    this.#socket = undefined;
    for (const waiting of this.#waiting.splice(0)) waiting.failed(error);
  }
}

function encode(args: readonly string[]): string {
  return `*${args.length}\r\n${args.map((a) => `$${a.length}\r\n${a}\r\n`).join('')}`;
}
