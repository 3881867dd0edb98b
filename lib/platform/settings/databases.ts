/**
 * Who logs in to the database: one login for runs, and one each for what a person decides and for what is only looked at.
 * All three are the same database's: a hold that is placed in another one would protect nothing.
 */
import { z } from 'zod';

const FORM = 'must look like postgresql://user:password@host/database';
const postgresUrl = (missing?: string) =>
  z
    .string(missing === undefined ? {} : { error: missing })
    .regex(/^postgres(ql)?:\/\/[^@/]+@[^/]+\/.+/, FORM)
    .refine(URL.canParse, FORM);

export const databaseEnvironment = {
  /** Runs policies and jobs: a member of lapse_app. */
  DATABASE_URL: postgresUrl('is required: the pooled connection string of a login in lapse_app'),
  /** What a person decides: a member of lapse_operator. Without it DATABASE_URL's login is one as well. */
  DATABASE_URL_OPERATOR: postgresUrl().optional(),
  /** What is only looked at: a member of lapse_reader. Without it DATABASE_URL's login is one as well. */
  DATABASE_URL_READER: postgresUrl().optional(),
};

interface Urls {
  readonly DATABASE_URL: string;
  readonly DATABASE_URL_OPERATOR?: string | undefined;
  readonly DATABASE_URL_READER?: string | undefined;
  readonly NEON_HTTP_ENDPOINT?: string | undefined;
  readonly NEON_HTTP_TOKEN?: string | undefined;
}

/** Each begins with the variable it is about. */
export function databaseProblems(urls: Urls): string[] {
  const app = partsOf(urls.DATABASE_URL);
  const problems = (['DATABASE_URL_OPERATOR', 'DATABASE_URL_READER'] as const).flatMap((variable) => {
    const url = urls[variable];
    if (url === undefined) return [];
    const { login, place } = partsOf(url);
    if (place !== app.place)
      return [
        `${variable} must name the host and database of DATABASE_URL: a hold placed elsewhere protects nothing`,
      ];
    if (login === app.login)
      return [
        `${variable} must be another login than DATABASE_URL's: leave it out where one login does for all`,
      ];
    return [];
  });
  const both = urls.DATABASE_URL_OPERATOR && urls.DATABASE_URL_READER;
  if (both && partsOf(urls.DATABASE_URL_OPERATOR!).login === partsOf(urls.DATABASE_URL_READER!).login) {
    problems.push(
      'DATABASE_URL_READER must be another login than DATABASE_URL_OPERATOR: one that may only look',
    );
  }
  if (urls.NEON_HTTP_TOKEN !== undefined && urls.NEON_HTTP_ENDPOINT === undefined)
    problems.push('NEON_HTTP_TOKEN is for a proxy of your own: set NEON_HTTP_ENDPOINT too, or leave it out');
  return problems;
}

/** Neon serves a database at two names, with and without its pooler. */
function partsOf(text: string): { login: string; place: string } {
  const url = new URL(text);
  const host = url.host.replace(/^([^.]+)-pooler\./, '$1.').toLowerCase();
  return { login: decodeURIComponent(url.username), place: `${host}${url.pathname}` };
}
