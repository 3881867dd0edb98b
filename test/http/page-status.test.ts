import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { expect, it } from 'vitest';
import { setStatus } from '@/lib/http/page-status';
import { watchRequests } from '@/lib/http/raw-url';

watchRequests();

const headersOf = (request: IncomingMessage): Headers =>
  new Headers(Object.entries(request.headers).flatMap(([k, v]) => (typeof v === 'string' ? [[k, v]] : [])));

/** What a server answers to one request. */
async function answerOf(
  work: (request: IncomingMessage, answer: ServerResponse) => void,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const server = createServer(work);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { headers });
    return { status: answer.status, text: await answer.text() };
  } finally {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
}

it('a page sets the status of its own answer, and none once the answer has begun', async () => {
  expect(
    await answerOf((request, answer) => {
      const set = setStatus(headersOf(request), 404);
      answer.write(String(set));
      answer.end(` ${setStatus(headersOf(request), 200)}`);
    }),
  ).toEqual({ status: 404, text: 'true false' });
});

it('a header of the caller leads to no answer', async () => {
  const seen = await answerOf((request, answer) => answer.end(String(request.headers['x-lapse-answer'])), {
    'x-lapse-answer': 'of the caller',
  });
  expect(seen.text).toMatch(/^[0-9a-f-]{36}$/);
  expect(setStatus(new Headers({ 'x-lapse-answer': 'of the caller' }), 404)).toBe(false);
  expect(setStatus(new Headers(), 404)).toBe(false);
});

it('an answer that is over is forgotten', async () => {
  let key = '';
  let known = false;
  const answers = () =>
    (globalThis as { [noted: symbol]: unknown })[Symbol.for('lapse.answers')] as Map<string, ServerResponse>;
  await answerOf((request, answer) => {
    key = String(request.headers['x-lapse-answer']);
    known = answers().has(key);
    answer.end();
  });
  expect([known, answers().has(key)]).toEqual([true, false]);
});

it('every page of the console says in words what it does not show', () => {
  const folder = path.join('app', '(console)');
  const pages = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((f) =>
    /page\.tsx$/.test(f),
  );
  expect(pages.length).toBeGreaterThan(30);
  for (const page of pages) {
    const text = readFileSync(path.join(folder, page), 'utf8');
    expect([page, /^export default shown\(/m.test(text)]).toEqual([page, true]);
    expect([page, /\b(notFound|forbidden)\b/.test(text)]).toEqual([page, false]);
  }
});
