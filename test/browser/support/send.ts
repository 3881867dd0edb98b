/** Forms that no page offered: what a person could send who knows the address. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page, Response } from 'playwright-core';

type Fields = Readonly<Record<string, string>>;

/** From a page of the console, as its own form would be sent. */
export async function send(page: Page, path: string, fields: Fields): Promise<Response> {
  const [answer] = await Promise.all([
    page.waitForResponse((r) => r.request().method() === 'POST' && new URL(r.url()).pathname === path),
    // Of the page that the answer is, or leads to.
    page.waitForEvent('load'),
    page.evaluate(
      ([action, given]) => {
        const form = Object.assign(document.createElement('form'), { method: 'post', action });
        for (const [name, value] of Object.entries(given)) {
          form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value }));
        }
        document.body.append(form);
        // Not at once: this call ends before its page does.
        setTimeout(() => form.submit());
      },
      [path, fields] as const,
    ),
  ]);
  return answer;
}

/** From a page of another site, opened in the window of somebody who is signed in. */
export async function sendFromElsewhere(page: Page, url: string, fields: Fields): Promise<Response> {
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`);
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(
      `<!doctype html><title>Elsewhere</title><form method="post" action="${url}">${inputs.join('')}<button>Win</button></form>`,
    );
  });
  // Another host is another site; the console is at 127.0.0.1.
  await new Promise<void>((done) => server.listen(0, 'localhost', done));
  try {
    await page.goto(`http://localhost:${(server.address() as AddressInfo).port}`);
    const [answer] = await Promise.all([
      page.waitForResponse((r) => r.request().method() === 'POST'),
      page.getByRole('button', { name: 'Win' }).click(),
    ]);
    await page.waitForLoadState();
    return answer;
  } finally {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
}
