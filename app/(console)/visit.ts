/** What every page of the console asks first: who reads it, and may they. Nothing is read for anyone else. */
import { cookies } from 'next/headers';
import { redirect } from 'next/navigation';
import { SAID_COOKIE, type Said, UNSENT_COOKIE, whatWasSaid } from '@/lib/http/console/said';
import { SESSION_COOKIE, type Who, whoHas } from '@/lib/http/console/session';
import type { Permission } from '@/lib/platform/settings/roles';
import { type Services, services } from '@/lib/services';
import { notAllowed } from './shown';

export type Searched = Promise<Record<string, string | string[] | undefined>>;

export interface Visit {
  readonly who: Who;
  readonly services: Services;
  readonly now: Date;
  /** The parameters of the address, each once. */
  readonly asked: Readonly<Record<string, string>>;
  /** What the act before this page answered. */
  readonly said: Said | null;
}

/** Null: nobody is signed in. For the frame; a page asks with `visit`. */
export async function whoIs(): Promise<Who | null> {
  // First: a build renders no page of the console, and has no settings to say so with.
  const jar = await cookies();
  const s = services();
  return whoHas(jar.get(SESSION_COOKIE)?.value, s.settings, s.clock());
}

/** Leads to the sign-in whoever is not signed in, and answers 403 to who has no role that may. */
export async function visit(path: string, searched: Searched, needs: Permission = 'look'): Promise<Visit> {
  const [who, given, jar] = await Promise.all([whoIs(), searched, cookies()]);
  const asked = Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value[0]! : value]],
    ),
  );
  if (who === null) redirect(`/sign-in?back=${encodeURIComponent(withQuery(path, asked))}`);
  if (!who.may(needs)) notAllowed();
  const s = services();
  const now = s.clock();
  const told = (cookie: string) =>
    whatWasSaid(jar.get(cookie)?.value, asked.said, s.settings.sessionSecret, now);
  const said = (await told(SAID_COOKIE)) ?? (await told(UNSENT_COOKIE));
  return { who, services: s, now, asked, said };
}

function withQuery(path: string, asked: Readonly<Record<string, string>>): string {
  const { said: _, ...kept } = asked;
  const query = new URLSearchParams(kept).toString();
  return query ? `${path}?${query}` : path;
}
