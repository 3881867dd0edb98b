/**
 * Who is told: the address of each organization, from the business's own table, and whether its recipient still wants what
 * need not be sent. Lapse keeps no address: a keyed hash tells them apart.
 */
import { createHmac, hkdfSync } from 'node:crypto';
import { z } from 'zod';
import { type Query, query, rows } from '../../platform/query';
import type { LinkSettings } from '../../platform/settings/links';
import { id, isKey, keysAsRows, sql, tableId } from '../../platform/sql';
import type { Policy } from '../../policies/contract';

const Recipient = z.object({
  tenant: z.string(),
  address: z.string().nullable(),
  zone: z.string().nullable(),
  /** Hashes of addresses that want no more than is required. */
  stopped: z.array(z.string()),
});
export type Recipient = z.infer<typeof Recipient>;

/** Of these organizations; one that has no row is told nothing. Of several rows the first address counts. */
export function recipientsOf(policy: Policy, tenants: readonly string[]): Query<Recipient[]> {
  const { to } = policy.notice!;
  const { table, key } = policy.tenants!;
  const owner = { ...key, column: to.organization ?? key.column };
  const tenant = sql`${id('r', owner.column)}::text`;
  const address = sql`${id('r', to.address)}::text`;
  const zone = to.zone === undefined ? sql`null::text` : sql`${id('r', to.zone)}::text`;
  const asked = sql`array(select jsonb_array_elements_text(${JSON.stringify(tenants)}::jsonb))`;
  return query(
    sql`select distinct on (1) ${tenant} as tenant, ${address} as address, ${zone} as zone,
      coalesce((select jsonb_agg(s.recipient) from retention.notice_stop s where s.tenant = ${tenant}), '[]') as stopped
    from ${keysAsRows(asked, [owner], to.table ?? table)} join ${tableId(to.table ?? table)} r on ${isKey('r', [owner])}
    order by 1, ${address}`,
    rows(Recipient),
  );
}

const keyOf = (key: string): Buffer =>
  Buffer.from(hkdfSync('sha256', Buffer.from(key, 'hex'), '', 'lapse.notices/recipient', 32));

/** An address under each key: the first is what is stored now. */
export const hashesOf = ({ keys }: LinkSettings, address: string): [string, ...string[]] =>
  keys.map((key) => createHmac('sha256', keyOf(key)).update(address.trim().toLowerCase()).digest('hex')) as [
    string,
    ...string[],
  ];

/** One plain address: nothing that a header or a list could be made of. */
export const isAddress = (text: string | null): text is string =>
  text !== null && text.length <= 254 && z.email().safeParse(text.trim()).success;
