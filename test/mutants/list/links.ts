/** Signed links: one thing, once, until they expire. */
import type { Mutant } from '../mutant';

const links = ['test/rights/links.test.ts'];

export const linkMutants: readonly Mutant[] = [
  {
    id: 'LI1',
    promise: 'A link works once.',
    file: 'lib/migrations/functions/links.sql',
    find: `case when found then null else 'used' end`,
    replace: 'null',
    tests: links,
  },
  {
    id: 'LI2',
    promise: 'A link that has expired by the database’s clock does nothing.',
    file: 'lib/migrations/functions/links.sql',
    find: 'until is null or until <= retention.clock()',
    replace: 'until is null',
    tests: links,
  },
  {
    id: 'LI3',
    promise: 'A link for one purpose does not serve another.',
    file: 'lib/rights/links.ts',
    find: 'issuer: ISSUER, audience, currentDate',
    replace: 'issuer: ISSUER, currentDate',
    tests: links,
  },
  {
    id: 'LI4',
    promise: 'The key of links signs nothing else: a session signed with it is no link.',
    file: 'lib/rights/links.ts',
    find: `hkdfSync('sha256', Buffer.from(key, 'hex'), '', 'lapse.links', 32)`,
    replace: `Buffer.from(key, 'hex')`,
    tests: links,
  },
  {
    id: 'LI5',
    promise: 'Looking at a link is no use of it.',
    file: 'lib/http/link-route.ts',
    find: 'GET: closed(route((s, link) => show(s, link)))',
    replace: 'GET: closed(route(act))',
    tests: links,
  },
  {
    id: 'LI6',
    promise: 'What a link names cannot write into its page.',
    file: 'lib/http/link-page.ts',
    find: 'escaped = (text: string): string => text.replace(/[&<>"\']/g, (c) => ENTITIES[c]!)',
    replace: 'escaped = (text: string): string => text.trim()',
    tests: links,
  },
];
