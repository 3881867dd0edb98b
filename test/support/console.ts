/** Operators of each role, signed in to the console, and the forms they send. */
import { createHash } from 'node:crypto';
import { SAID, whatWasSaid } from '@/lib/http/console/said';
import { SESSION_COOKIE, signIn } from '@/lib/http/console/session';
import type { Services } from '@/lib/services';

export const STAFF = {
  vera: { role: 'viewer', token: 'vera-token-0123456789' },
  otto: { role: 'operator', token: 'otto-token-0123456789' },
  anna: { role: 'approver', token: 'anna-token-0123456789' },
  audra: { role: 'auditor', token: 'audra-token-0123456789' },
  maria: { role: undefined, token: 'maria-token-0123456789' },
} as const;
export type Staff = keyof typeof STAFF;

const hash = (token: string) => createHash('sha256').update(token).digest('hex');
export const CONSOLE_ENV = {
  LAPSE_SESSION_SECRET: 'a-session-secret-of-the-tests-0123456789',
  LAPSE_OPERATORS: Object.entries(STAFF)
    .map(([name, { role, token }]) => [name, ...(role ? [role] : []), hash(token)].join(':'))
    .join(','),
};

export const ORIGIN = 'http://lapse.test';

export async function cookieOf(services: Services, who: Staff): Promise<string> {
  const cookie = await signIn(STAFF[who].token, services.settings, services.clock());
  return `${SESSION_COOKIE}=${cookie}`;
}

/** A form as a browser sends it; `headers` replaces what it says of itself, null leaves it out. */
export async function form(
  services: Services,
  who: Staff | null,
  fields: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string | null>> = {},
): Promise<Request> {
  const sent = new Headers({
    host: 'lapse.test',
    origin: ORIGIN,
    'sec-fetch-site': 'same-origin',
    'content-type': 'application/x-www-form-urlencoded',
    ...(who ? { cookie: await cookieOf(services, who) } : {}),
  });
  for (const [name, value] of Object.entries(headers)) {
    if (value === null) sent.delete(name);
    else sent.set(name, value);
  }
  return new Request(`${ORIGIN}/acts/x`, {
    method: 'POST',
    headers: sent,
    body: new URLSearchParams(fields),
  });
}

/** What the page after an answer shows, and where that page is. */
export async function shown(services: Services, answer: Response) {
  const to = new URL(answer.headers.get('location') ?? '', ORIGIN);
  const cookie = answer.headers.getSetCookie().find((c) => c.includes('said'));
  const value = cookie?.split(';')[0]?.split(/=(.*)/s)[1];
  const id = to.searchParams.get(SAID) ?? undefined;
  const said = await whatWasSaid(value, id, services.settings.sessionSecret, services.clock());
  return { status: answer.status, path: to.pathname, said };
}
