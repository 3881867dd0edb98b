/**
 * What is on record about a person or an organization: by an id, or by an address. An address is hashed here, with keys that only the
 * environment has, and never asked for in any other form; the page is led to the hashes, so that no address stays in an address bar.
 */
import { z } from 'zod';
import { keyedHash, keyFor } from '../../platform/keys';
import { type Query, query, rows } from '../../platform/query';
import { ask } from '../../platform/session';
import { sql, utc } from '../../platform/sql';
import { IDENTIFIER_PURPOSE } from '../../rights/graph/identifiers';
import { hashesOf, isAddress } from '../../rights/notices/recipients';
import type { Services } from '../../services';

const LIMITS = { statementMs: 10_000, readOnly: true };
/** Of each kind, the latest. */
const MOST = 50;

const Erasure = z.object({
  id: z.string(),
  scope: z.string(),
  state: z.string(),
  requested_at: z.string(),
  requested_by: z.string(),
  finished_at: z.string().nullable(),
});
const Message = z.object({
  tenant: z.string(),
  state: z.string(),
  at: z.string(),
  policies: z.array(z.string()),
});
const Hold = z.object({
  scope: z.string(),
  reason: z.string(),
  placed_by: z.string(),
  placed_at: z.string(),
  released_at: z.string().nullable(),
});

export interface OnRecord {
  readonly erasures: readonly z.infer<typeof Erasure>[];
  readonly holds: readonly z.infer<typeof Hold>[];
  readonly messages: readonly z.infer<typeof Message>[];
}

/** Null: no address. Empty: no key to hash it with. */
export function personOf({ settings }: Pick<Services, 'settings'>, text: string): string[] | null {
  if (!text.includes('@') || !isAddress(text)) return null;
  const plain = text.trim().toLowerCase();
  return [
    ...(settings.links ? hashesOf(settings.links, text) : []),
    ...settings.rightsKeys.map((key) => keyedHash(keyFor(key, IDENTIFIER_PURPOSE), plain)),
  ];
}

const HASHES = /^[0-9a-f]{64}(\.[0-9a-f]{64}){0,7}$/;

/** As they stand in the address of the page; null for anything else. */
export const hashesIn = (person: string): string[] | null => (HASHES.test(person) ? person.split('.') : null);

const ERASURE = sql`e.id, e.scope, e.state, ${utc(sql`e.requested_at`, 's')} as requested_at, e.requested_by, ${utc(sql`e.finished_at`, 's')} as finished_at`;

const erasuresOf = (subject: string): Query<z.infer<typeof Erasure>[]> =>
  query(
    sql`select ${ERASURE} from retention.erasure e where e.subject = ${subject} order by e.requested_at desc limit ${MOST}::int`,
    rows(Erasure),
  );

const holdsOf = (subject: string): Query<z.infer<typeof Hold>[]> =>
  query(
    sql`select h.scope, h.reason, h.placed_by, ${utc(sql`h.placed_at`, 's')} as placed_at, ${utc(sql`h.released_at`, 's')} as released_at
      from retention.hold h where h.subject = ${subject} and h.scope <> 'item' order by h.placed_at desc limit ${MOST}::int`,
    rows(Hold),
  );

/** Of a person or organization by its id, as it is written. */
export async function byId({ reading }: Pick<Services, 'reading'>, id: string): Promise<OnRecord> {
  const found = await ask(reading, { erasures: erasuresOf(id), holds: holdsOf(id) }, LIMITS);
  return { ...found, messages: [] };
}

const erasuresBy = (hashes: readonly string[]): Query<z.infer<typeof Erasure>[]> =>
  query(
    sql`select ${ERASURE} from retention.erasure e where jsonb_path_query_array(e.identifiers, '$.*[*]') ?| ${hashes}::text[]
      order by e.requested_at desc limit ${MOST}::int`,
    rows(Erasure),
  );

const messagesTo = (hashes: readonly string[]): Query<z.infer<typeof Message>[]> =>
  query(
    sql`select n.tenant, n.state, ${utc(sql`coalesce(n.settled_at, n.created_at)`, 's')} as at,
        array(select distinct p.policy from retention.notice_part p where p.notice = n.id order by 1) as policies
      from unnest(${hashes}::text[]) h(hash) cross join lateral (select * from retention.notice x where x.recipient = h.hash) n
      order by n.created_at desc limit ${MOST}::int`,
    rows(Message),
  );

/** Of who has an address with one of these keyed hashes. */
export async function byHash(
  { reading }: Pick<Services, 'reading'>,
  hashes: readonly string[],
): Promise<OnRecord> {
  const found = await ask(reading, { erasures: erasuresBy(hashes), messages: messagesTo(hashes) }, LIMITS);
  return { ...found, holds: [] };
}
