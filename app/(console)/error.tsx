'use client';

/** In the frame, whose Stop all still works: it needs nothing that this page has read. */
export default function PageError({ error }: { error: Error & { digest?: string } }) {
  return (
    <div className="grid gap-3 py-8">
      <h1>This page could not be read</h1>
      <p>
        Nothing was changed. Reference: <code>{error.digest ?? 'none'}</code>, in the log of this deployment
        and in Sentry.
      </p>
      <p>
        {/* biome-ignore lint/a11y/useValidAnchor: this page itself, with its parameters */}
        <a href="" className="button">
          Try again
        </a>
      </p>
    </div>
  );
}
