/** What stands behind the Upstash REST bridge: the small engine, or a real Redis by address. */
import type { Reply } from './reply';

export interface RedisBackend {
  /** In order, each on its own; an error is an item of the answer. */
  run(commands: readonly (readonly string[])[]): Promise<Reply[]>;
  /** All or nothing (MULTI … EXEC). Throws ReplyError when it was discarded. */
  transaction(commands: readonly (readonly string[])[]): Promise<Reply[]>;
  close(): Promise<void>;
}
