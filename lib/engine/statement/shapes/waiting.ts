/**
 * Shapes that take no locks first: the delete itself carries the whole predicate, and PostgreSQL judges it again on any
 * version that is newer than the one it saw (DELETION §2). So it waits for a row that others have locked, where the
 * others step over it: only shortly, and then the batch is asked again in a form that steps over.
 */
import { type Sql, sql } from '../../../platform/sql';

/** What a batch has locked is locked while it waits. */
const LOCK_TIMEOUT = '75ms';

export const WAITS_SHORTLY: Sql = sql`set_config('lock_timeout', ${LOCK_TIMEOUT}, true)`;
