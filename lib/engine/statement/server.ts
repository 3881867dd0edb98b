/** What a server says of its size: settings only, for nothing tells an app how many cores there are. */
import { z } from 'zod';
import { sql } from '../../platform/sql';

export const Server = z.object({
  /** Neon gives a compute its connections by its size. */
  neon: z.boolean(),
  connections: z.number(),
  /** The fewer of what may run beside a session at all, and for queries. */
  workers: z.number(),
});
export type Server = z.infer<typeof Server>;

/** One value, `Server` as jsonb. */
export const SERVER = sql`jsonb_build_object('neon', current_setting('neon.timeline_id', true) is not null,
      'connections', current_setting('max_connections')::int,
      'workers', least(current_setting('max_worker_processes')::int, current_setting('max_parallel_workers')::int))`;
