import type { ReactNode } from 'react';
import type { Place } from '@/lib/http/console/place';
import { OFF } from '@/lib/http/console/scripts';
import type { Who } from '@/lib/http/console/session';
import type { Permission } from '@/lib/platform/settings/roles';
import { whatWaits } from '../waiting';
import { Post } from './forms';
import { isWhole, Streamed } from './streamed';

/** In the order of a night: what deletes, what comes, what waits, what is protected, what can be proved. */
const PAGES: readonly { path: string; name: string; needs?: Permission }[] = [
  { path: '/', name: 'Policies' },
  { path: '/calendar', name: 'Calendar' },
  { path: '/attention', name: 'Attention' },
  { path: '/holds', name: 'Holds', needs: 'audit' },
  { path: '/erasures', name: 'Erasures', needs: 'audit' },
  { path: '/restores', name: 'Archives', needs: 'audit' },
  { path: '/orders', name: 'Orders', needs: 'audit' },
  { path: '/why', name: 'Answer', needs: 'audit' },
  { path: '/audit', name: 'Audit', needs: 'audit' },
  { path: '/reports', name: 'Reports' },
  { path: '/data-map', name: 'Data map' },
];

const BADGES = { production: 'bg-production', preview: 'bg-preview', development: 'bg-preview' } as const;

/** Policies are also each policy and each run. */
const isOpen = (path: string, at: string): boolean =>
  path === '/' ? /^\/($|policies\/|runs\/)/.test(at) : at === path || at.startsWith(`${path}/`);

export function Bar({ who, place, at }: { who: Who; place: Place; at: string }) {
  const isPreview = place.kind === 'preview';
  return (
    <header className={`border-b border-line ${isPreview ? 'bg-raised' : 'bg-surface'}`}>
      <div className="mx-auto flex max-w-6xl flex-wrap items-center gap-x-2 gap-y-1 px-4 py-2 sm:gap-x-4">
        <a href="/" className="flex min-h-11 items-center font-semibold text-ink">
          Lapse
        </a>
        <span className={`rounded px-2 py-0.5 text-sm text-on-badge ${BADGES[place.kind]}`}>
          {place.name}
        </span>
        <div className="ml-auto flex items-center gap-2">
          <You who={who} />
          {!isPreview && who.may('stop') && <StopAll at={at} />}
        </div>
        <nav aria-label="Pages" className="pages -mx-1 flex w-full gap-1 overflow-x-auto">
          {PAGES.filter(({ needs }) => who.may(needs ?? 'look')).map(({ path, name }) =>
            path === '/attention' ? (
              // The bar, with Stop all, does not wait for it.
              <Streamed key={path} until={<To {...{ path, at }}>{name}</To>}>
                <Attention {...{ path, at, name }} />
              </Streamed>
            ) : (
              <To key={path} {...{ path, at }}>
                {name}
              </To>
            ),
          )}
        </nav>
      </div>
      <WithoutScripts at={at} />
      {place.note && <p className="border-t border-line px-4 py-1 text-center text-sm">{place.note}</p>}
    </header>
  );
}

const To = ({ path, at, children }: { path: string; at: string; children: ReactNode }) => (
  <a
    href={path}
    aria-current={isOpen(path, at) ? 'page' : undefined}
    className="flex min-h-11 items-center rounded-md border-b-2 border-transparent px-2 whitespace-nowrap text-ink hover:bg-raised aria-[current=page]:border-ink aria-[current=page]:font-semibold"
  >
    {children}
  </a>
);

/** How much waits for a person, from the page's own read; without it where it could not be read. */
async function Attention({ path, at, name }: { path: string; at: string; name: string }) {
  const found = await whatWaits();
  const waiting = found.ok ? found.value.waiting.length : 0;
  return <To {...{ path, at }}>{waiting > 0 ? `${name} (${waiting})` : name}</To>;
}

/** Only for a browser that ran scripts when its reader signed in. */
async function WithoutScripts({ at }: { at: string }) {
  if (await isWhole()) return null;
  return (
    <noscript>
      <form
        id="scripts"
        method="post"
        action="/acts/scripts"
        className="flex flex-wrap items-center justify-center gap-x-4 gap-y-1 border-t border-line px-4 py-1 text-sm"
      >
        <input type="hidden" name="back" value={at} />
        <input type="hidden" name="scripts" value={OFF} />
        Scripts are off: parts of a page that are read late stand at its end.
        <button type="submit" className="button">
          Show pages whole
        </button>
      </form>
    </noscript>
  );
}

/** Two clicks, no JavaScript, no other page: it works while nothing else can be read. */
function StopAll({ at }: { at: string }) {
  return (
    <details className="relative">
      <summary className="button list-none" data-danger="">
        Stop all
      </summary>
      <Post
        id="stop-all"
        action="/acts/stop-all"
        values={{ back: at }}
        className="absolute right-0 z-10 mt-2 grid w-80 max-w-[calc(100vw-2rem)] gap-3 rounded-lg border border-edge bg-surface p-4 shadow-lg"
      >
        <p>
          Every policy stops at its next batch, a tenth of a second later. Until it is resumed no file is
          deleted and no order is refunded.
        </p>
        <label className="grid gap-1">
          Why (may follow)
          <input name="reason" maxLength={500} className="field" />
        </label>
        <button type="submit" className="button" data-danger="">
          Stop everything
        </button>
      </Post>
    </details>
  );
}

function You({ who }: { who: Who }) {
  return (
    <details className="relative">
      <summary className="button list-none">{who.name}</summary>
      <div className="absolute right-0 z-10 mt-2 grid w-60 gap-3 rounded-lg border border-edge bg-surface p-4 shadow-lg">
        <p className="text-sm text-quiet">{who.roles.join(', ')}</p>
        <form id="theme" method="post" action="/acts/theme" className="grid gap-1">
          <fieldset className="flex flex-wrap gap-1">
            <legend className="text-sm text-quiet">Colors</legend>
            {['light', 'dark', 'system'].map((theme) => (
              <button key={theme} type="submit" name="theme" value={theme} className="button">
                {theme}
              </button>
            ))}
          </fieldset>
        </form>
        <form id="sign-out" method="post" action="/acts/sign-out">
          <button type="submit" className="button w-full">
            Sign out
          </button>
        </form>
      </div>
    </details>
  );
}
