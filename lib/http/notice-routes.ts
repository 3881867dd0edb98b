/** The routes of the links in a message to an organization: a page that says what the button does, and the button. */

import { askOne } from '../platform/session';
import { refuseUsed, useLink } from '../rights/links';
import {
  announcementOf,
  extend,
  keptUntil,
  keysOf,
  MOST_EXTENDED,
  refuseTooMany,
  unsubscribe,
} from '../rights/notices/acts';
import { wordsIn } from '../rights/notices/compose';
import { Copy } from '../rights/notices/copy';
import { PART_CAP } from '../rights/notices/upcoming';
import { type Services, services } from '../services';
import type { Handler } from './answered';
import { linkRoute } from './link-route';

interface Routes {
  GET: Handler;
  POST: Handler;
}
const { instant } = wordsIn(null);

const items = (n: number, most: number): string =>
  n > most
    ? `more than ${most.toLocaleString('en-US')} items`
    : n === 1
      ? '1 item'
      : `${n.toLocaleString('en-US')} items`;

export const downloadRoute = (provide: () => Services = services): Routes =>
  linkRoute(
    'notices',
    {
      purpose: 'notice.download',
      show: async (s, link) => {
        const about = await announcementOf(s, link);
        const found = (await keysOf(s, about, PART_CAP)).length;
        const what = `${items(found, PART_CAP)} of ${about.policy.notice?.called ?? about.policy.name}`;
        return {
          title: 'Download a copy',
          text: [
            `The copy has ${what} with their files, as they are now.`,
            'This link works once: save the file where you keep it.',
          ],
          button: 'Download',
        };
      },
      act: async (s, link) => {
        const about = await announcementOf(s, link);
        refuseUsed(await askOne(s.database, useLink(link), { statementMs: 5_000 }));
        return new Response(new Copy(s, about).stream(), {
          headers: {
            'content-type': 'application/x-tar',
            'content-disposition': `attachment; filename="${about.policy.name}.tar"`,
            'cache-control': 'no-store',
          },
        });
      },
    },
    provide,
  );

export const extendRoute = (provide: () => Services = services): Routes =>
  linkRoute(
    'notices',
    {
      purpose: 'notice.extend',
      show: async (s, link) => {
        const about = await announcementOf(s, link);
        const found = (await keysOf(s, about, MOST_EXTENDED)).length;
        refuseTooMany(found);
        const until = instant(keptUntil(about));
        return {
          title: 'Keep for longer',
          text: [
            `${items(found, MOST_EXTENDED)} of ${about.policy.notice?.called ?? about.policy.name} will be kept until ${until} UTC, and deleted then.`,
            'This can be done once.',
          ],
          button: 'Keep',
        };
      },
      act: async (s, link) => {
        const { kept, until } = await extend(s, link);
        return {
          title: 'Kept',
          text: [`${items(kept, MOST_EXTENDED)} will be kept until ${instant(until)} UTC.`],
        };
      },
    },
    provide,
  );

export const unsubscribeRoute = (provide: () => Services = services): Routes =>
  linkRoute(
    'notices',
    {
      purpose: 'notice.unsubscribe',
      show: async () => ({
        title: 'Fewer messages',
        text: [
          'You will get no more messages about upcoming deletions, but those that have to be sent before something is deleted.',
        ],
        button: 'Unsubscribe',
      }),
      act: async (s, link) => {
        await unsubscribe(s, link);
        return { title: 'Unsubscribed', text: ['You will only get messages that have to be sent.'] };
      },
    },
    provide,
  );
