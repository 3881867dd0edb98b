/**
 * What may leave for Sentry (M3), on the server and in the browser: codes, names of policies, counts, durations,
 * code lines. No message whose words are not known to be safe (it may hold a row), no query of any address (it may hold a
 * person or a file's name), no trail of console lines and requests.
 */
import type { BrowserOptions } from '@sentry/nextjs';
import vercel from '../../vercel.json';

/** Every collection of data off: the default of the client is all of them on (PLATFORM §E2). */
export const NO_COLLECTION = {
  userInfo: false,
  cookies: false,
  httpHeaders: { request: false, response: false },
  httpBodies: [],
  urlQueryParams: false,
  databaseQueryData: false,
  stackFrameVariables: false,
} satisfies BrowserOptions['dataCollection'];

/** Errors Lapse words itself carry this before their code; every other message is withheld. */
export const OWN_ERROR = 'Lapse:';
const WITHHELD = '(message withheld)';

type Hook<Name extends 'beforeSend' | 'beforeSendSpan'> = NonNullable<BrowserOptions[Name]>;
type ErrorEvent = Parameters<Hook<'beforeSend'>>[0];
type Span = Parameters<Hook<'beforeSendSpan'>>[0];

/** What Lapse's own routes and the services' addresses are made of. Any other part of a path may be a person or a file's name. */
const KNOWN = new Set([
  ...vercel.crons.flatMap((cron) => cron.path.split('/')),
  ...[
    'api',
    'audit',
    'calendar',
    'control',
    'erasure',
    'exports',
    'health',
    'metrics',
    'notices',
    'orders',
    'reports',
  ],
  ...[
    'verify',
    'head',
    'entries',
    'lineage',
    'cleanup',
    'quality',
    'download',
    'extend',
    'unsubscribe',
    '[view]',
    '_not-found',
    'sql',
    'pipeline',
  ],
]);
const ADDRESS = /^([A-Z]+ )?([a-z][a-z0-9+.-]*:\/\/[^/?#]*)?(\/[^?#]*)?/;

/** An address or a path without its query, fragment and unknown parts; `GET /x?a=b` too. */
function bare(text: string): string {
  const [, method = '', origin = '', path = ''] = ADDRESS.exec(text) ?? [];
  if (origin === '' && path === '') return text;
  const parts = path.split('/').map((part) => (KNOWN.has(part) ? part : '(other)'));
  return `${method}${origin.replace(/\/\/.*@/, '//')}${path === '' ? '' : parts.join('/')}`;
}

export function scrubEvent(event: ErrorEvent): ErrorEvent {
  const next = event.contexts?.nextjs as { request_path?: string } | undefined;
  if (next?.request_path) next.request_path = bare(next.request_path);
  if (event.transaction) event.transaction = bare(event.transaction);
  if (event.request) event.request = event.request.method ? { method: event.request.method } : {};
  delete event.user;
  delete event.breadcrumbs;
  delete event.extra;
  if (event.message) event.message = WITHHELD;
  if (event.logentry) event.logentry = { message: WITHHELD };
  for (const value of event.exception?.values ?? []) {
    if (!value.type?.startsWith(OWN_ERROR)) value.value = WITHHELD;
  }
  return event;
}

/** Names of attributes that hold what was asked for or by whom. SQL text has no values in it and stays. */
const TELLING =
  /query(?!\.text)|fragment|header|cookie|user|client\.(address|port)|body|params|error\.message/;

export function scrubSpan(span: Span): Span {
  span.name = bare(span.name);
  span.attributes = Object.fromEntries(
    Object.entries(span.attributes)
      .filter(([name]) => !TELLING.test(name))
      .map(([name, value]) => [name, typeof value === 'string' ? bare(value) : value]),
  );
  return span;
}

/** The trace context sent with every envelope names the request too, outside any span: it is removed. */
export const scrubTraces: Extract<BrowserOptions['integrations'], readonly unknown[]>[number] = {
  name: 'LapseScrubTraces',
  setup: (client) => {
    client.on('createDsc', (context) => {
      delete context.transaction;
    });
  },
};
