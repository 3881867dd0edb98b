/**
 * What the links of a message do. Each is bound to one part of one message by the hash of the rows it announced: a link of a
 * message that was followed by another one does nothing. Rows are read as they are now: what has gone or come to an end since is
 * not there, and nothing that the message did not speak of is.
 */
import { z } from 'zod';
import { byClock } from '../../engine/statement/legs/columns';
import { source } from '../../engine/statement/predicate';
import { maybeRow, oneRow, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { constant, keyAsText, sql, tableLabel, typed } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Services } from '../../services';
import { type Link, LinkError, refuseUsed } from '../links';
import { announced } from './upcoming';

/** Rows that one link keeps: each gets an entry of the audit chain, in one transaction of about a second, which batches wait for. */
export const MOST_EXTENDED = 2_000;
const READING = { statementMs: 15_000, readOnly: true };
const WRITING = { statementMs: 30_000, lockMs: 5_000 };

const Recorded = z.object({
  since: z.string(),
  before: z.string(),
  keep_until: z.iso.datetime({ offset: true }).nullable(),
});

/** What a link of a message is about. */
export interface Announcement {
  readonly policy: Policy;
  readonly notice: string;
  readonly thresholdDays: number;
  readonly tenant: string;
  readonly since: string;
  readonly before: string;
  readonly keepUntil: Date | null;
  /** Hash of the keys that were announced. */
  readonly digest: string;
}

/** Throws LinkError where the message was followed by another one, or its policy is gone. */
export async function announcementOf(services: Services, { subject, about }: Link): Promise<Announcement> {
  const { notice = '', policy: name = '', threshold = '', digest = '' } = about;
  const policy = services.policies.find((p) => p.name === name);
  const asked = query(
    sql`select since::text, before::text, to_json(keep_until) #>> '{}' as keep_until from retention.notice_part
      where notice = ${notice}::uuid and policy = ${name} and threshold_days = ${threshold}::int and tenant = ${subject.id} and digest = ${digest}`,
    maybeRow(Recorded),
  );
  const found = await askOne(services.database, asked, READING);
  if (policy?.notice === undefined || found === null) {
    throw new LinkError(
      410,
      'link_replaced',
      'this message was followed by a newer one: use the links of that one',
    );
  }
  return {
    policy,
    notice,
    thresholdDays: Number(threshold),
    tenant: subject.id,
    since: found.since,
    before: found.before,
    keepUntil: found.keep_until === null ? null : new Date(found.keep_until),
    digest,
  };
}

/** The rows `t` of an announcement, as they are now. */
export const rowsOf = ({ policy, tenant, since, before }: Announcement) =>
  announced(
    policy,
    typed(tenant, policy.tenants!.key.type),
    typed(since, 'timestamptz'),
    typed(before, 'timestamptz'),
  );

const Key = z.object({ key: z.string() });

/** Keys of the rows that are still there, in the order of the walk, at most one more than `most`. */
export async function keysOf({ database }: Services, about: Announcement, most: number): Promise<string[]> {
  const { policy } = about;
  const asked = query(
    sql`select ${keyAsText('t', policy.key)} as key from ${source(policy)} t where ${rowsOf(about)}
      order by ${byClock(policy)} limit ${constant(most + 1)}`,
    rows(Key),
  );
  return (await askOne(database, asked, READING)).map((r) => r.key);
}

const Refused = z.object({ refused: z.enum(['used', 'expired']).nullable() }).transform((row) => row.refused);

/** Keeps them until the day that the message names. Returns how many. Throws LinkError where the link does nothing. */
export async function extend(services: Services, link: Link): Promise<{ kept: number; until: Date }> {
  const about = await announcementOf(services, link);
  const { policy, notice, thresholdDays } = about;
  const until = keptUntil(about);
  const keys = await keysOf(services, about, MOST_EXTENDED);
  refuseTooMany(keys.length);
  const extending = query(
    sql`select retention.extend_by_notice(${link.id}::uuid, ${link.expiresAt.toISOString()}::timestamptz, ${notice}::uuid, ${policy.name},
      ${thresholdDays}::int, ${tableLabel(policy.table)}, array(select jsonb_array_elements_text(${JSON.stringify(keys)}::jsonb))) as refused`,
    oneRow(Refused),
  );
  refuseUsed(await askOne(services.database, extending, WRITING));
  return { kept: keys.length, until };
}

/** Throws LinkError where the message lets nothing be kept. */
export function keptUntil({ keepUntil }: Announcement): Date {
  if (keepUntil !== null) return keepUntil;
  throw new LinkError(410, 'link_replaced', 'this message does not let you keep anything');
}

export function refuseTooMany(found: number): void {
  if (found <= MOST_EXTENDED) return;
  throw new LinkError(
    409,
    'too_many',
    `more than ${MOST_EXTENDED.toLocaleString('en-US')} items cannot be kept by a link: ask who runs this service for a longer period`,
  );
}

/** From now on the recipient gets what is required, and nothing else. */
export async function unsubscribe({ database }: Services, link: Link): Promise<void> {
  const stopping = query(
    sql`select retention.stop_notices(${link.id}::uuid, ${link.expiresAt.toISOString()}::timestamptz, ${link.subject.id}, ${link.about.recipient ?? ''}) as refused`,
    oneRow(Refused),
  );
  refuseUsed(await askOne(database, stopping, WRITING));
}
