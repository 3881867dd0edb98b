/** GET of a certificate, as a file: for who is signed in and may read single records. */
import { RequestError } from '../../platform/errors';
import { demand } from '../../platform/settings/roles';
import { certificateOf } from '../../rights/certificate';
import { type Services, services } from '../../services';
import { answered, type Handler } from '../answered';
import { urlOf } from '../raw-url';
import { seeOther } from './act';
import { cookieIn } from './cookies';
import { erasureOf, numberOf } from './right';
import { SESSION_COOKIE, whoHas } from './session';

export const certificateRoute = (provide: () => Services = services): Handler =>
  answered('console', provide, async ({ request, services: made }) => {
    const s = made();
    const { pathname } = urlOf(request);
    const who = await whoHas(cookieIn(request.headers.get('cookie'), SESSION_COOKIE), s.settings, s.clock());
    if (who === null) return seeOther(`/sign-in?back=${encodeURIComponent(pathname)}`);
    demand(who, 'audit');
    const [, id] = /^\/erasures\/([^/]+)\/certificate$/.exec(pathname) ?? [];
    if (id === undefined) throw new RequestError(404, 'unknown', 'there is no such request', 'id');
    const { id: request_ } = await erasureOf(s, id);
    return new Response(JSON.stringify(await certificateOf(s, request_), null, 2), {
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'content-disposition': `attachment; filename="erasure-${numberOf(request_)}.json"`,
        'cache-control': 'no-store',
      },
    });
  });
