/** Forms of decisions, as a browser sends them, with the operators bound to the database: each act proves itself by its own token. */
import { expect } from 'vitest';
import { bindOperators } from '@/lib/dev/operators';
import type { Handler } from '@/lib/http/answered';
import { connectRedis } from '@/lib/platform/redis';
import { operatorList } from '@/lib/platform/settings/operators';
import type { Services } from '@/lib/services';
import { CONSOLE_ENV, form, type Staff, shown } from './console';
import type { TestDatabase } from './database';

export type Route = (provide?: () => Services) => { POST: Handler };
export type Typed = Readonly<Record<string, string>>;

export const bound = (db: TestDatabase): Promise<unknown> =>
  bindOperators(db.ownerUrl, operatorList.parse(CONSOLE_ENV.LAPSE_OPERATORS));

/** What the page after it shows. */
export const send = async (s: Services, route: Route, who: Staff, typed: Typed) =>
  shown(s, await route(() => s).POST(await form(s, who, typed)));

/** Entries of the chain, as `action actor`, in their order. */
export const chain = async (db: TestDatabase): Promise<string[]> =>
  (
    await db.sql<{ it: string }>(
      `select action || ' ' || actor as it from retention.audit_entry where action <> 'run.sealed' order by n`,
    )
  ).map((row) => row.it);

/** A viewer who posts directly, an auditor, and a page of another site: 403 each, and nothing was changed. */
export async function refusesStrangers(
  s: Services,
  db: TestDatabase,
  route: Route,
  typed: Typed,
): Promise<void> {
  const before = await chain(db);
  for (const who of ['vera', 'audra'] as const) {
    const answer = await route(() => s).POST(await form(s, who, typed));
    expect([who, answer.status]).toEqual([who, 403]);
  }
  const elsewhere = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
  const other = await route(() => s).POST(await form(s, 'maria', typed, elsewhere));
  expect(other.status).toBe(403);
  const nobody = await shown(s, await route(() => s).POST(await form(s, null, typed)));
  expect(nobody.path).toBe('/sign-in');
  expect(await chain(db)).toEqual(before);
}

/** The real client, and nobody who answers. */
export const withoutRedis = (s: Services): Services => ({
  ...s,
  redis: connectRedis('http://127.0.0.1:1', 'nobody-listens-here', s.settings.namespace),
});
