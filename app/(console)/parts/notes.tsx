/** What stands where there is nothing to show: nothing yet, not read yet, or not read at all. */
import type { ReactNode } from 'react';
import type { Failed, Read } from '@/lib/http/console/reading';
import { Streamed } from './streamed';

/** Says what would be here and how it comes. */
export const Empty = ({ children }: { children: ReactNode }) => (
  <div className="rounded-md bg-raised p-4 text-quiet">{children}</div>
);

const Loading = () => (
  <p data-loading="" className="p-4 text-quiet">
    …
  </p>
);

/** This alone was not read; the rest of the page stands, and so does Stop all. */
export const Failure = ({ of: { what, code, step, reference } }: { of: Failed }) => (
  <div role="alert" className="rounded-md border-l-4 border-bad bg-raised p-4">
    <p className="wrap-anywhere">
      ✕ {what} could not be read (<code>{code}</code>). Nothing was changed. {step}
    </p>
    {reference && (
      <p className="text-sm text-quiet">
        Reference: <code>{reference}</code>, in the log of this deployment and in Sentry.
      </p>
    )}
    {/* biome-ignore lint/a11y/useValidAnchor: this page itself, with its parameters */}
    <a href="" className="inline-flex min-h-11 items-center text-link underline">
      Try again
    </a>
  </div>
);

/**
 * What is still being read, in its place as soon as it is there: the frame, and Stop all with it, is shown before. For pages that
 * wait for more than a few rows.
 */
export const Later = <T,>(props: { of: Promise<Read<T>>; children: (value: T) => ReactNode }) => (
  <Streamed until={<Loading />}>
    <Arrived {...props} />
  </Streamed>
);

async function Arrived<T>({ of, children }: { of: Promise<Read<T>>; children: (value: T) => ReactNode }) {
  return <Part of={await of}>{children}</Part>;
}

/** What was read, or that it was not. */
export function Part<T>({ of, children }: { of: Read<T>; children: (value: T) => ReactNode }) {
  return of.ok ? children(of.value) : <Failure of={of} />;
}
