/** One Redis command: how many words it takes, whether it changes anything, and what it does. */
import type { Keyspace } from '../keyspace';
import type { Reply } from '../reply';

export interface Command {
  /** As Redis counts: the name included; negative means at least. */
  readonly arity: number;
  readonly writes?: boolean;
  run(keys: Keyspace, args: readonly string[], name: string): Reply;
}

export type Commands = Readonly<Record<string, Command>>;

export const reads = (arity: number, run: Command['run']): Command => ({ arity, run });
export const writes = (arity: number, run: Command['run']): Command => ({ arity, run, writes: true });
