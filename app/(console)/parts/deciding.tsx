/** What pages of decisions share: who may act, the reason, facts under each other. */
import type { ReactNode } from 'react';
import { isPreview } from '@/lib/http/console/place';
import type { Said } from '@/lib/http/console/said';
import { RequestError } from '@/lib/platform/errors';
import { type Permission, whoMay } from '@/lib/platform/settings/roles';
import { nothingHere } from '../shown';
import type { Visit } from '../visit';
import { Field } from './forms';

/** The server asks again in the act itself; this only leaves out what would be refused. */
export const mayAct = ({ who, services }: Visit, permission: Permission): boolean =>
  !isPreview(services.settings) && who.may(permission);

/** The form, or who may use it. `not`: who may not, whatever the role, and why. */
export function ForWhoMay(props: {
  visit: Visit;
  needs: Permission;
  not?: string | null;
  children: ReactNode;
}) {
  const { visit, needs, not, children } = props;
  if (isPreview(visit.services.settings)) {
    return (
      <p className="text-quiet">
        Nothing can be decided on a preview deployment. Open the console of production.
      </p>
    );
  }
  if (!visit.who.may(needs)) {
    return (
      <p className="text-quiet">
        This takes the role {whoMay(needs)}; you are {visit.who.roles.join(' and ')}.
      </p>
    );
  }
  return not ? <p className="text-quiet">{not}</p> : children;
}

export const Reason = ({ said, hint }: { said: Said | null; hint?: string }) => (
  <Field
    name="reason"
    label="Reason"
    said={said}
    maxLength={500}
    hint={hint ?? 'Kept in the audit chain: a number of your file, no personal data.'}
  />
);

/** Names and values; a value that is null is left out. */
export function Facts({ of }: { of: Readonly<Record<string, ReactNode>> }) {
  return (
    <dl className="grid gap-x-6 sm:grid-cols-[max-content_1fr] sm:gap-y-1">
      {Object.entries(of).map(([name, value]) =>
        value === null || value === undefined ? null : (
          <div key={name} className="contents">
            <dt className="text-quiet">{name}</dt>
            <dd className="mb-2 min-w-0 wrap-anywhere sm:mb-0">{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

/** One of a few, in words. */
export function Choice(props: {
  name: string;
  label: string;
  said: Said | null;
  options: Readonly<Record<string, string>>;
  value?: string | undefined;
}) {
  const { name, label, said, options, value } = props;
  const chosen = said?.typed[name] ?? value;
  return (
    <fieldset className="grid gap-1">
      <legend className="font-medium">{label}</legend>
      {Object.entries(options).map(([option, text]) => (
        <label key={option} className="flex min-h-11 items-center gap-2">
          <input type="radio" name={name} value={option} required defaultChecked={option === chosen} />
          {text}
        </label>
      ))}
    </fieldset>
  );
}

/** What is not there is a page that is not there; any other refusal of a read is shown by the page's error. */
export async function orNotFound<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof RequestError && error.status === 404) nothingHere();
    throw error;
  }
}

/** What a look was refused for, in words of ours; anything else is the page's error. */
export async function orRefused<T>(
  work: () => Promise<T>,
): Promise<{ readonly found: T } | { readonly refused: string }> {
  try {
    return { found: await work() };
  } catch (error) {
    if (error instanceof RequestError) return { refused: error.message };
    throw error;
  }
}

export const Refused = ({ children }: { children: ReactNode }) => (
  <p role="alert" className="rounded-md border-l-4 border-bad bg-raised p-4">
    ✕ {children}
  </p>
);

/** A path with parameters; those that are undefined are left out. */
export function link(path: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const query = new URLSearchParams(given).toString();
  return query ? `${path}?${query}` : path;
}

/** The page behind this one; null: there is none. */
export const nextOf = (
  path: string,
  next: string | null,
  parameters: Readonly<Record<string, string | undefined>> = {},
): string | null => (next === null ? null : link(path, { ...parameters, after: next }));
