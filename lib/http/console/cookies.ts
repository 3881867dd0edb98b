/** Cookies of the console: read from a request's header, written for its answer. All are bound to this host and to TLS. */

export function cookieIn(header: string | null, name: string): string | undefined {
  for (const part of (header ?? '').split(';')) {
    const [key = '', value = ''] = part.trim().split(/=(.*)/s);
    if (key === name) return value;
  }
  return undefined;
}

/** `seconds` 0 takes it away. Lax: a link in a mail or an alert opens the console signed in; no GET changes anything. */
export const setCookie = (name: string, value: string, seconds: number): string =>
  `${name}=${value}; Path=/; Max-Age=${seconds}; Secure; HttpOnly; SameSite=Lax`;
