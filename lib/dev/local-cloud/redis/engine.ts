/**
 * A small Redis in this process: one command at a time, so scripts and transactions are atomic by nature.
 * It refuses what it does not know as Redis refuses an unknown command; the tests compare it with a real
 * Redis command by command. Its clock is passed in.
 */
import type { RedisBackend } from './backend';
import { commands } from './commands';
import { Keyspace } from './keyspace';
import { small } from './numbers';
import { OK, type Reply, ReplyError, wrongArity } from './reply';
import { Scripts } from './scripts';
import { Snapshot } from './snapshot';

/** A kill loses at most this much of what a demo did in Redis, which costs time and no correctness. */
const SNAPSHOT_EVERY_MS = 2_000;

export interface EngineOptions {
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  /** Where the keys are kept between starts; nowhere unless given. */
  readonly file?: string;
}

const SCRIPTING = new Set(['EVAL', 'EVALSHA', 'EVAL_RO', 'EVALSHA_RO', 'SCRIPT']);

export class RedisEngine implements RedisBackend {
  readonly #keys = new Keyspace();
  readonly #scripts: Scripts;
  readonly #clock: () => number;
  readonly #snapshot: Snapshot | undefined;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(options: EngineOptions = {}) {
    this.#clock = options.clock ?? Date.now;
    this.#scripts = new Scripts((args, readOnly) => this.#fromScript(args, readOnly));
    if (options.file === undefined) return;
    this.#snapshot = new Snapshot(options.file, this.#keys);
    this.#snapshot.load();
    this.#timer = setInterval(() => this.#snapshot?.save(), SNAPSHOT_EVERY_MS).unref();
  }

  async run(list: readonly (readonly string[])[]): Promise<Reply[]> {
    return list.map((args) => this.#answer(args));
  }

  async transaction(list: readonly (readonly string[])[]): Promise<Reply[]> {
    // Redis finds unknown commands and wrong counts while queueing, and then runs none of them.
    for (const args of list) {
      try {
        this.#check(args);
      } catch (error) {
        if (!(error instanceof ReplyError)) throw error;
        throw new ReplyError(`EXECABORT Transaction discarded because of previous errors. ${error.message}`);
      }
    }
    return list.map((args) => this.#answer(args));
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#snapshot?.save();
  }

  #answer(args: readonly string[]): Reply {
    this.#keys.now = this.#clock();
    try {
      this.#check(args);
      return this.#execute(args);
    } catch (error) {
      if (error instanceof ReplyError) return error;
      throw error;
    }
  }

  #check(args: readonly string[]): void {
    const name = args[0]?.toUpperCase() ?? '';
    const arity = SCRIPTING.has(name) ? (name === 'SCRIPT' ? -2 : -3) : commands[name]?.arity;
    if (arity === undefined || !(SCRIPTING.has(name) || Object.hasOwn(commands, name))) throw unknown(args);
    if (arity > 0 ? args.length !== arity : args.length < -arity) throw wrongArity(name);
  }

  #execute(args: readonly string[]): Reply {
    const name = args[0]!.toUpperCase();
    const rest = args.slice(1);
    if (name === 'SCRIPT') return this.#script(rest);
    if (SCRIPTING.has(name)) return this.#eval(name, rest);
    return commands[name]!.run(this.#keys, rest, name);
  }

  #fromScript(args: readonly string[], readOnly: boolean): Reply {
    const name = args[0]!.toUpperCase();
    if (SCRIPTING.has(name)) throw new ReplyError('ERR This Redis command is not allowed from script');
    if (!Object.hasOwn(commands, name)) throw new ReplyError('ERR Unknown Redis command called from script');
    try {
      this.#check(args);
    } catch {
      throw new ReplyError('ERR Wrong number of args calling Redis command from script');
    }
    if (readOnly && commands[name]!.writes) {
      throw new ReplyError('ERR Write commands are not allowed from read-only scripts.');
    }
    return this.#execute(args);
  }

  #eval(name: string, [script, count, ...rest]: readonly string[]): Reply {
    const keyCount = small(count!);
    if (keyCount < 0) throw new ReplyError("ERR Number of keys can't be negative");
    if (keyCount > rest.length)
      throw new ReplyError("ERR Number of keys can't be greater than number of args");
    const sha = name.startsWith('EVALSHA') ? script! : this.#scripts.load(script!);
    return this.#scripts.run(sha, rest.slice(0, keyCount), rest.slice(keyCount), name.endsWith('_RO'));
  }

  #script([action, ...rest]: readonly string[]): Reply {
    switch (action!.toUpperCase()) {
      case 'LOAD':
        if (rest.length !== 1) throw wrongArity('script|load');
        return this.#scripts.load(rest[0]!);
      case 'EXISTS':
        return rest.map((sha) => (this.#scripts.has(sha) ? 1 : 0));
      case 'FLUSH':
        this.#scripts.flush();
        return OK;
      default:
        throw new ReplyError(`ERR unknown subcommand '${action}'. Try SCRIPT HELP.`);
    }
  }
}

function unknown([name = '', ...rest]: readonly string[]): ReplyError {
  const beginning = rest.map((a) => `'${a.slice(0, 128)}' `).join('');
  return new ReplyError(
    `ERR unknown command '${name.slice(0, 128)}', with args beginning with: ${beginning}`,
  );
}
