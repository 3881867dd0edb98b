/**
 * What a form of the console does: a POST to a stable address, which a tab left open over a new deployment still reaches,
 * answered with 303 to the page that shows what happened. In this order, and nothing is read or done before: the form is of
 * this site, its sender is signed in, may act here, has the role, does not act too often, and filled in every field. What is
 * refused leads back to the form with what was typed, also by way of the sign-in where the session had ended.
 */
import type { z } from 'zod';
import type { Acting } from '../../operators/carry-out';
import { limitRate } from '../../operators/rate';
import { DatabaseError, RequestError } from '../../platform/errors';
import { MAX_DURATION_SECONDS } from '../../platform/jobs';
import { announceWork, EVERY_JOB } from '../../platform/looks';
import { demand, type Permission } from '../../platform/settings/roles';
import { type Services, services } from '../../services';
import { answered, failed, flushed, type Handler } from '../answered';
import { cookieIn } from './cookies';
import { type Fields, readForm } from './form';
import { isPreview } from './place';
import { type Said, say, UNSENT_COOKIE } from './said';
import { refuseOtherSites } from './same-origin';
import { SESSION_COOKIE, type Who, whoHas } from './session';
import { whyUnread } from './unread';

/** Who acts, with what. */
export interface By {
  readonly services: Services;
  readonly who: Who;
  readonly correlationId: string;
  /** For lib/operators: the operator, their token and why. */
  readonly acting: (reason: string) => Acting;
}

/** A sentence for the page that comes after; `to`: another page than `back`. */
type Happened = string | { readonly text: string; readonly to: string };

export interface Act<F extends z.ZodType> {
  readonly needs: Permission;
  readonly form: F;
  /** The page with the form: what is refused leads there, and what was done unless `work` says another. */
  readonly back: (typed: Fields) => string;
  /** Also on a preview deployment, because it changes nothing that counts. */
  readonly onPreview?: boolean;
  /** Throws RequestError for what it refuses: its words are shown. */
  readonly work: (by: By, input: z.output<F>) => Promise<Happened>;
}

/** Never written down or sent back. */
const SECRET_FIELDS = ['token'];

export const actRoute = <F extends z.ZodType>(
  act: Act<F>,
  provide: () => Services = services,
): { POST: Handler } => ({
  POST: answered('console', provide, async ({ request, correlationId, services: made }) => {
    refuseOtherSites(request);
    const s = made();
    const who = await whoHas(cookieIn(request.headers.get('cookie'), SESSION_COOKIE), s.settings, s.clock());
    const { form, ...typed } = await readForm(request);
    if (who === null) return unsent(act.back(typed), { typed: keptOf(typed), ...named(form) }, s);
    if (isPreview(s.settings) && !act.onPreview) throw onPreview();
    demand(who, act.needs);
    const log = s.log.child({ correlation_id: correlationId, script: 'console' });
    const by = byOf({ ...s, log }, who, correlationId);
    const { said, to } = await flushed(() => carriedOut(act, by, typed));
    const { location, cookie } = await say(
      { ...said, ...named(form) },
      to,
      s.settings.sessionSecret!,
      s.clock(),
    );
    return seeOther(location, [cookie]);
  }),
});

const ENDED =
  'The session had ended before this was sent, and nothing was changed. What you typed is kept: look at it, and send it again.';

/** To the sign-in, which says that nothing was done, and from there to the form as it was sent. */
async function unsent(
  back: string,
  sent: Pick<Said, 'typed' | 'form'>,
  { settings: { sessionSecret }, clock }: Services,
): Promise<Response> {
  const toSignIn = (path: string) => `/sign-in?back=${encodeURIComponent(path)}`;
  if (sessionSecret === undefined) return seeOther(toSignIn(back));
  const said = { ...sent, done: false, text: ENDED };
  const { location, cookie } = await say(said, back, sessionSecret, clock(), UNSENT_COOKIE);
  return seeOther(toSignIn(location), [cookie]);
}

/** Each form of the console sends its own id, for the answer to find back to it. */
const named = (form: string | undefined): { form?: string } =>
  form !== undefined && /^[\w-]{1,100}$/.test(form) ? { form } : {};

export const seeOther = (location: string, cookies: readonly string[] = []): Response => {
  const headers = new Headers({ location, 'cache-control': 'no-store' });
  for (const cookie of cookies) headers.append('set-cookie', cookie);
  return new Response(null, { status: 303, headers });
};

const byOf = (s: Services, who: Who, correlationId: string): By => ({
  ...{ services: s, who, correlationId },
  acting: (reason) => ({ services: s, operator: who.name, token: who.token, reason }),
});

async function carriedOut<F extends z.ZodType>(
  act: Act<F>,
  by: By,
  typed: Fields,
): Promise<{ said: Said; to: string }> {
  const back = act.back(typed);
  try {
    const parsed = act.form.safeParse(typed);
    if (!parsed.success) throw notFilledIn(parsed.error);
    // What stops needs PostgreSQL alone: it does not wait for Redis to count.
    if (act.needs !== 'stop') await limited(by);
    const happened = await act.work(by, parsed.data);
    const { text, to } = typeof happened === 'string' ? { text: happened, to: back } : happened;
    return { said: { done: true, text, typed: {} }, to };
  } catch (error) {
    return { said: refused(error, by, typed), to: back };
  }
}

/** Whatever is decided may be work for any job, as at the operators' door. */
async function limited({ services: { redis, clock }, who }: By): Promise<void> {
  await limitRate(redis, who.name);
  await announceWork(redis, [EVERY_JOB], new Date(clock().getTime() + MAX_DURATION_SECONDS * 1000));
}

function notFilledIn(error: z.ZodError): RequestError {
  const issue = error.issues[0]!;
  const field = issue.code === 'unrecognized_keys' ? issue.keys[0]! : String(issue.path[0] ?? 'form');
  return new RequestError(400, 'bad_field', `${field}: ${issue.message}`, field);
}

const keptOf = (typed: Fields): Fields =>
  Object.fromEntries(Object.entries(typed).filter(([name]) => !SECRET_FIELDS.includes(name)));

/** Words that Lapse did not choose are not shown: the log has them, under the reference. */
function refused(error: unknown, { services: { log }, correlationId }: By, typed: Fields): Said {
  const kept = keptOf(typed);
  if (error instanceof RequestError) {
    log.info({ event: 'act.refused', error_code: error.code, field: error.field }, error.code);
    return { done: false, text: error.message, ...(error.field ? { field: error.field } : {}), typed: kept };
  }
  failed(error, { script: 'console', correlationId }, log, 'act.failed');
  const { code, step } = whyUnread(error);
  const unknown = error instanceof DatabaseError && error.failure === 'unknown';
  const outcome = unknown
    ? `The answer was lost (${code}): this may have been done or not; look before you try again. As long as the database is down, nothing is deleted.`
    : `This was not done, and nothing was changed (${code}). ${step}`;
  return { done: false, text: `${outcome} Reference: ${correlationId}`, typed: kept };
}

const onPreview = (): RequestError =>
  new RequestError(
    403,
    'preview',
    'this is a preview deployment: act in the console of production; nothing was changed',
  );
