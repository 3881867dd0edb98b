/** What a page of the console hands out to keep: asked for with the session of the page, by who has the role, and never cached. */
import { RequestError } from '../../platform/errors';
import { demand, type Permission } from '../../platform/settings/roles';
import { type Services, services } from '../../services';
import { answered, flushed, type Handler } from '../answered';
import { urlOf } from '../raw-url';
import { cookieIn } from './cookies';
import { SESSION_COOKIE, whoHas } from './session';

/** `work` gets the parameters of the address. */
export const fileRoute = (
  needs: Permission,
  work: (services: Services, asked: URLSearchParams) => Promise<Response>,
  provide: () => Services = services,
): { GET: Handler } => ({
  GET: answered('console', provide, async ({ request, services: made }) => {
    const s = made();
    const who = await whoHas(cookieIn(request.headers.get('cookie'), SESSION_COOKIE), s.settings, s.clock());
    if (who === null) throw new RequestError(401, 'unauthorized', 'sign in to the console first');
    demand(who, needs);
    return flushed(() => work(s, urlOf(request).searchParams));
  }),
});

/** `type` with its charset; `name` makes it a file to save. */
export const answerFile = (body: BodyInit, type: string, name?: string): Response =>
  new Response(body, {
    headers: {
      'content-type': type,
      'cache-control': 'no-store',
      ...(name === undefined ? {} : { 'content-disposition': `attachment; filename="${name}"` }),
    },
  });
