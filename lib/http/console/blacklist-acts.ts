/** Entries of permanent tables: found by the keyed hash of an address, removed with the hash typed and a reason. */
import { z } from 'zod';
import { addressHash } from '../../operators/permanent';
import { words } from '../../operators/words';
import { RequestError } from '../../platform/errors';
import { type Services, services } from '../../services';
import { actRoute } from './act';
import { numberOf } from './right';
import { confirmed, reason, take } from './take';

const table = z.string().max(130);

/** The address itself stands in no address of a page, in no log and in no entry: only its hash is passed on. */
export const findEntryRoute = (provide: () => Services = services) =>
  actRoute(
    {
      needs: 'approve',
      form: z.strictObject({ table, address: words(320) }),
      back: () => '/blacklist',
      work: async ({ services: s }, { table: of, address }) => {
        const hash = addressHash(s.settings.rightsKeys, address);
        if (hash === null) {
          throw new RequestError(
            409,
            'no_key',
            'LAPSE_RIGHTS_KEY is not set, and an address is found by its keyed hash',
            'address',
          );
        }
        const to = `/blacklist?${new URLSearchParams({ table: of, hash })}`;
        return { text: 'This is the hash of the address you wrote.', to };
      },
    },
    provide,
  );

export const removeEntryRoute = (provide: () => Services = services) =>
  actRoute(
    {
      needs: 'approve',
      form: z.strictObject({
        table,
        addressHash: z.string().regex(/^[0-9a-f]{64}$/, 'must be the 64 hex digits of an entry'),
        confirm: z.string(),
        reason,
      }),
      back: ({ table: of = '', addressHash: hash = '' }) =>
        `/blacklist?${new URLSearchParams({ table: of, hash })}`,
      work: async (by, { confirm, ...input }) => {
        confirmed(confirm, numberOf(input.addressHash));
        await take(by, { action: 'blacklist.remove', ...input });
        return { text: 'Removed: this address may be written to again.', to: '/blacklist' };
      },
    },
    provide,
  );
