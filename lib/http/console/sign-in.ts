/** Signing in and out: forms that need no JavaScript. The token is compared with every operator's hash in constant time. */
import { operatorWith } from '../../platform/settings/operators';
import { type Services, services } from '../../services';
import { answered, type Handler } from '../answered';
import { seeOther } from './act';
import { setCookie } from './cookies';
import { readForm } from './form';
import { say } from './said';
import { ownPath, refuseOtherSites } from './same-origin';
import { scriptsCookie } from './scripts';
import { SESSION_COOKIE, SESSION_SECONDS, signIn } from './session';
import { addressOf, type Tries, tries, UNKNOWN_ADDRESS } from './tries';

type Post = { readonly POST: Handler };

const SENTENCES = {
  unknown: 'No operator has this token.',
  tooMany: 'Too many tries from here: wait up to 15 minutes.',
} as const;

export function signInRoute(
  provide: () => Services = services,
  triesOf: (s: Services) => Tries = ({ settings }) => tries(settings),
): Post {
  let counted: Tries | undefined;
  return {
    POST: answered('console', provide, async ({ request, services: made }) => {
      refuseOtherSites(request);
      const s = made();
      const { token = '', back, scripts } = await readForm(request);
      if (s.settings.sessionSecret === undefined) return seeOther('/sign-in');
      counted ??= triesOf(s);
      const refusal = await tryToken(token.trim(), s, counted, addressOf(request, process.env));
      if (refusal === null) {
        const cookie = await signIn(token.trim(), s.settings, s.clock());
        const session = setCookie(SESSION_COOKIE, cookie!, SESSION_SECONDS);
        return seeOther(ownPath(back), [session, scriptsCookie(scripts)]);
      }
      const form = `/sign-in?back=${encodeURIComponent(ownPath(back))}`;
      const said = { done: false, text: SENTENCES[refusal], field: 'token', typed: {} };
      const next = await say(said, form, s.settings.sessionSecret, s.clock());
      return seeOther(next.location, [next.cookie]);
    }),
  };
}

/** Null: an operator, who may come in. The log says who, never with what. */
async function tryToken(
  token: string,
  { settings, log }: Services,
  counted: Tries,
  address: string,
): Promise<keyof typeof SENTENCES | null> {
  const operator = operatorWith(token, settings.operators);
  const mayTry = await counted.mayTry(address);
  // Where no one can say who calls, a stranger's tries must not keep an operator out: a token is not to be guessed.
  const isLetIn = operator !== null && (mayTry || address === UNKNOWN_ADDRESS);
  log.info(
    { event: isLetIn ? 'console.signed_in' : 'console.refused', operator: operator?.name ?? 'unknown' },
    isLetIn ? 'signed in' : 'sign-in refused',
  );
  if (isLetIn) return null;
  if (!mayTry) return 'tooMany';
  await counted.failed(address);
  return 'unknown';
}

/** Takes the cookie away. The token stays good: its hash in LAPSE_OPERATORS decides. */
export const signOutRoute = (provide: () => Services = services): Post => ({
  POST: answered('console', provide, async ({ request }) => {
    refuseOtherSites(request);
    return seeOther('/sign-in', [setCookie(SESSION_COOKIE, '', 0)]);
  }),
});
