/**
 * Whether a browser runs scripts, which a server learns from nothing but a form: the one of the sign-in says so by what it shows without
 * them. A part of a page that is read late is put in its place by a script; a browser without scripts gets every page whole.
 */
import { type Services, services } from '../../services';
import { answered, type Handler } from '../answered';
import { seeOther } from './act';
import { setCookie } from './cookies';
import { readForm } from './form';
import { ownPath, refuseOtherSites } from './same-origin';
import { SESSION_SECONDS } from './session';

export const SCRIPTS_COOKIE = '__Host-lapse-scripts';
/** The value of the cookie, and of the field `scripts` of a form. */
export const OFF = 'off';

/** As long as a session: the next sign-in asks anew. */
export const scriptsCookie = (given: string | undefined): string =>
  setCookie(SCRIPTS_COOKIE, given === OFF ? OFF : '', given === OFF ? SESSION_SECONDS : 0);

/** For who has turned scripts off since the sign-in. */
export const scriptsRoute = (provide: () => Services = services): { POST: Handler } => ({
  POST: answered('console', provide, async ({ request }) => {
    refuseOtherSites(request);
    const { scripts, back } = await readForm(request);
    return seeOther(ownPath(back), [scriptsCookie(scripts)]);
  }),
});
