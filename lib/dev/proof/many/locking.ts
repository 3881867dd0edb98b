/** Counts what a client asks of PostgreSQL: requests, and the most locks that any transaction held when it came to its end. */
import { z } from 'zod';
import type { Database } from '../../../platform/database';

export interface Counting {
  readonly database: Database;
  /** Since the last look. */
  take(): { requests: number; mostLocks: number };
}

const Held = z.tuple([z.object({ n: z.coerce.number() })]);

/** Last of its transaction: nothing has given a lock back by then. */
const HELD = {
  text: 'select count(*)::text as n from pg_locks where pid = pg_backend_pid()',
  params: [],
};

export function countingLocks(inner: Database): Counting {
  let [requests, mostLocks] = [0, 0];
  return {
    database: {
      async transaction(statements, options) {
        requests += 1;
        const answers = await inner.transaction([...statements, HELD], options);
        mostLocks = Math.max(mostLocks, Held.parse(answers.at(-1))[0].n);
        return answers.slice(0, -1);
      },
    },
    take() {
      const taken = { requests, mostLocks };
      [requests, mostLocks] = [0, 0];
      return taken;
    },
  };
}
