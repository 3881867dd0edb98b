/** GET /runs/<id>/beat, for the page that shows a run: signed in, and nothing but how it is. */
import { z } from 'zod';
import { RequestError } from '../../platform/errors';
import { type Services, services } from '../../services';
import { answerJson } from '../answer';
import { answered, type Handler } from '../answered';
import { cookieIn } from './cookies';
import { beat } from './run';
import { SESSION_COOKIE, whoHas } from './session';

export const beatRoute = (provide: () => Services = services): { GET: Handler } => ({
  GET: answered('console', provide, async ({ request, correlationId, services: made }) => {
    const s = made();
    const who = await whoHas(cookieIn(request.headers.get('cookie'), SESSION_COOKIE), s.settings, s.clock());
    if (!who?.may('look')) throw new RequestError(401, 'signed_out', 'sign in again');
    const id = z.uuid().safeParse(new URL(request.url).pathname.split('/').at(-2));
    const found = id.success ? await beat(s, id.data) : null;
    if (found) return answerJson(found, correlationId);
    throw new RequestError(404, 'unknown', 'no run of this id has a record');
  }),
});
