'use client';

/** The last frame, when not even the layout could be made; the server has reported the error already. */
export default function GlobalError({ error }: { error: Error & { digest?: string } }) {
  return (
    <html lang="en">
      <body>
        <main>
          <h1>This page could not be shown</h1>
          <p>Nothing was changed. Look for {error.digest ?? 'the error'} in the log.</p>
          <form id="stop-all" method="post" action="/acts/stop-all">
            <button type="submit">Stop everything</button>
          </form>
        </main>
      </body>
    </html>
  );
}
