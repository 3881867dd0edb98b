/** The operator's own token opens the console. Works without JavaScript. */
import type { Metadata } from 'next';
import { cookies } from 'next/headers';
import { placeOf } from '@/lib/http/console/place';
import { SAID, SAID_COOKIE, UNSENT_COOKIE, whatWasSaid } from '@/lib/http/console/said';
import { ownPath } from '@/lib/http/console/same-origin';
import { OFF } from '@/lib/http/console/scripts';
import { services } from '@/lib/services';

export const metadata: Metadata = { title: 'Sign in' };

export default async function SignIn({ searchParams }: PageProps<'/sign-in'>) {
  const { settings, clock } = services();
  const { back: given, said: number } = await searchParams;
  const back = ownPath(typeof given === 'string' ? given : '/');
  const jar = await cookies();
  const told = (cookie: string, id: unknown) =>
    whatWasSaid(
      jar.get(cookie)?.value,
      typeof id === 'string' ? id : undefined,
      settings.sessionSecret,
      clock(),
    );
  const said = await told(SAID_COOKIE, number);
  const unsent = await told(UNSENT_COOKIE, new URL(back, 'http://console').searchParams.get(SAID));
  const place = placeOf(settings);
  return (
    <main className="mx-auto grid max-w-md gap-4 px-4 py-12">
      <h1>Sign in to Lapse</h1>
      <p className="text-quiet">
        Deployment: <strong className="text-ink">{place.name}</strong>. {place.note ?? 'Runs delete here.'}
      </p>
      {unsent && (
        <p id="unsent" role="alert" className="rounded-lg border-l-4 border-bad bg-surface p-3">
          ✕ Not done: {unsent.text}
        </p>
      )}
      {settings.sessionSecret === undefined ? (
        <Missing name="LAPSE_SESSION_SECRET" command="openssl rand -base64 48">
          It encrypts the sessions of the console. The rest of Lapse works without it.
        </Missing>
      ) : settings.operators.length === 0 ? (
        <Missing
          name="LAPSE_OPERATORS"
          command={`TOKEN=$(openssl rand -hex 32); echo "$TOKEN"; echo "alice:$(printf %s "$TOKEN" | sha256sum | cut -c1-64)"`}
        >
          It names who may sign in. The first line is the token, to keep; the second is the variable's value.
        </Missing>
      ) : (
        <form id="sign-in" method="post" action="/acts/sign-in" className="grid gap-3">
          <input type="hidden" name="back" value={back} />
          {/* Such a browser gets every page whole. */}
          <noscript>
            <input type="hidden" name="scripts" value={OFF} />
          </noscript>
          <label className="grid gap-1">
            Operator token
            <input
              name="token"
              type="password"
              required
              autoComplete="current-password"
              className="field font-mono"
              aria-invalid={said ? true : undefined}
              aria-describedby={said ? 'refused' : undefined}
            />
          </label>
          {said && (
            <p id="refused" role="alert" className="text-bad">
              {said.text}
            </p>
          )}
          <button type="submit" className="button" data-primary="">
            Sign in
          </button>
        </form>
      )}
    </main>
  );
}

function Missing(props: { name: string; command: string; children: string }) {
  return (
    <section className="grid gap-2 rounded-lg border border-line bg-surface p-4" aria-label="What is missing">
      <p>
        <code>{props.name}</code> is not set, so no one can sign in. {props.children}
      </p>
      <pre className="rounded bg-raised p-3 text-sm">
        <code>{props.command}</code>
      </pre>
      <p>Set it where this deployment has its environment, and deploy again.</p>
    </section>
  );
}
