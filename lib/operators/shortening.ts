/** What keeps shorter than before ends a protection: as taking it away (extension.end, override.remove), it is for who may approve. */
import { z } from 'zod';
import { RequestError } from '../platform/errors';
import { oneRow, query } from '../platform/query';
import { askOne } from '../platform/session';
import { may, type Role, whoMay } from '../platform/settings/roles';
import { type Sql, sql } from '../platform/sql';
import { type Acting, READING } from './carry-out';

/** An operator with the roles that the environment gives. */
export interface Deciding extends Acting {
  readonly roles: readonly Role[];
}

/** Throws RequestError 403 where this day is before the one until which the row is kept. */
export const demandToShortenExtension = (
  acting: Deciding,
  at: { readonly table: string; readonly key: string; readonly keepUntil: string },
): Promise<void> =>
  demandWhere(
    acting,
    'keepUntil',
    sql`exists (select from retention.extension where table_name = ${at.table} and row_key = ${at.key}
      and keep_until > greatest(${at.keepUntil}::timestamptz, retention.clock()))`,
  );

/**
 * Throws RequestError 403 where this is shorter than the organization's own period or, without one, than the longest of the
 * policy, whatever label the organization is under. Forever (null) is never shorter.
 */
export async function demandToShortenPeriod(
  acting: Deciding,
  o: { readonly policy: string; readonly tenant: string; readonly seconds: number | null },
): Promise<void> {
  const { seconds } = o;
  if (seconds === null) return;
  const rules = acting.services.policies.find((p) => p.name === o.policy)?.rules ?? [];
  const isShorter = rules.some((r) => r.keepFor.seconds === null || r.keepFor.seconds > seconds);
  await demandWhere(
    acting,
    'keepDays',
    sql`coalesce((select keep_seconds is null or keep_seconds > ${seconds}::bigint from retention.period_override
      where policy = ${o.policy} and tenant = ${o.tenant}), ${isShorter}::boolean)`,
  );
}

async function demandWhere(acting: Deciding, field: string, shortens: Sql): Promise<void> {
  if (may(acting.roles, 'approve')) return;
  const asked = query(sql`select ${shortens} as shortens`, oneRow(z.object({ shortens: z.boolean() })));
  if (!(await askOne(acting.services.reading, asked, READING)).shortens) return;
  throw new RequestError(
    403,
    'role',
    `${acting.operator} may keep longer, not shorter than it is kept now: this needs ${whoMay('approve')} (LAPSE_OPERATORS); nothing was changed`,
    field,
  );
}
