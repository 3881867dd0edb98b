import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type App, build, freePort, startApp } from '@/lib/dev/demo/app';
import '@/lib/example/policies'; // its routes are called: this test goes with it
import { type TestDatabase, testDatabase } from '../support/database';
import { DAY } from '../support/engine';

const SECRET = randomBytes(24).toString('hex');
const TOKEN = randomBytes(24).toString('hex');
let db: TestDatabase;
const lines: string[] = [];
const running: App[] = [];

const env = (more: Record<string, string> = {}) => ({
  ...db.env,
  CRON_SECRET: SECRET,
  LAPSE_SESSION_SECRET: randomBytes(24).toString('hex'),
  LAPSE_OPERATORS: `alice:${createHash('sha256').update(TOKEN).digest('hex')}`,
  VERCEL_ENV: 'production',
  LAPSE_MASS_DELETION_GUARD: 'off',
  LAPSE_PROGRESSIVE_ROLLOUT: 'off',
  LAPSE_NAMESPACE: `e2e-${randomUUID()}`,
  ...more,
});
async function start(more: Record<string, string> = {}): Promise<App> {
  const app = await startApp(env(more), await freePort(), (line) => lines.push(line));
  running.push(app);
  return app;
}

async function signIn(app: App, token: string): Promise<{ cookie?: string; location: string | null }> {
  const answer = await fetch(`${app.url}/acts/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { origin: app.url },
    body: new URLSearchParams({ token }),
  });
  const [cookie] = answer.headers.getSetCookie().filter((c) => c.startsWith('__Host-lapse='));
  return { ...(cookie ? { cookie: cookie.split(';')[0] } : {}), location: answer.headers.get('location') };
}

beforeAll(async () => {
  [db] = await Promise.all([testDatabase(), build(() => undefined)]);
  await db.sql(
    `insert into quiz_responses (quiz, completed_at) select 'q', now() - make_interval(secs => ${40 * DAY}) from generate_series(1, 300)`,
  );
  await db.sql(`insert into quiz_responses (quiz, completed_at) values ('q', now()), ('q', null)`);
}, 600_000);
afterAll(async () => {
  await Promise.all(running.map((app) => app.stop()));
  await db?.stop();
});

it('the built app: dry run, refusal of a stranger, real run, one correlation id through answer, log and record', async () => {
  const app = await start();
  const dry = await app.call('quiz-responses', '0 2 * * *', { dryRun: '1' });
  expect(dry).toMatchObject({ mode: 'dry_run', outcome: 'succeeded', preview: { expired: 300 } });

  const stranger = await fetch(`${app.url}/api/cron/quiz-responses`);
  expect(stranger.status).toBe(401);
  expect((await fetch(`${app.url}/api/cron/quiz-responses`, { method: 'HEAD' })).status).toBe(405);

  const real = await app.call('quiz-responses', '0 2 * * *');
  expect(real).toMatchObject({ outcome: 'succeeded', deleted: 300 });
  const own = lines
    .filter((l) => l.includes(real.correlationId))
    .map((l) => JSON.parse(l) as Record<string, unknown>);
  expect(own.every((l) => l.timestamp && l.level && l.script === 'quiz-responses')).toBe(true);
  expect(own.find((l) => l.event === 'cleanup_completed')).toMatchObject({
    records_deleted: 300,
    sla_status: 'within_sla',
  });
  const record = await db.sql('select deleted::int from retention.run where correlation_id = $1', [
    real.correlationId,
  ]);
  expect(record).toEqual([{ deleted: 300 }]);
});

it('the console opens for an operator alone, and lets a browser run only what carries the nonce of the answer', async () => {
  const app = await start({ VERCEL_ENV: 'production' });
  const closed = await fetch(app.url, { redirect: 'manual' });
  expect([closed.status, closed.headers.get('location')]).toEqual([307, '/sign-in?back=%2F']);
  const form = await (await fetch(`${app.url}/sign-in`)).text();
  expect(form).toContain('Operator token');
  expect((await signIn(app, SECRET)).cookie).toBeUndefined();

  const { cookie, location } = await signIn(app, TOKEN);
  expect(location).toBe('/');
  const page = await fetch(app.url, { headers: { cookie: cookie! } });
  expect(page.status).toBe(200);
  const policy = page.headers.get('content-security-policy') ?? '';
  const nonce = /'nonce-([^']+)'/.exec(policy)?.[1];
  expect(page.headers.get('x-content-type-options')).toBe('nosniff');
  expect(page.headers.get('strict-transport-security')).toContain('max-age=');
  // A browser would hide the Origin of a form from its own site.
  expect(page.headers.get('referrer-policy')).toBe('same-origin');
  const text = await page.text();
  expect(text).toContain('quiz-responses');
  expect(text).toMatch(/<time dateTime="[\dT:.-]+Z"/);
  expect(text).not.toMatch(/ style="/);
  const scripts = [...text.matchAll(/<script\b[^>]*>/g)].map(([tag]) => tag);
  expect(scripts.length).toBeGreaterThan(0);
  expect(scripts.filter((tag) => !tag.includes(`nonce="${nonce}"`))).toEqual([]);
});

it('a form of the console stops everything without a script; a page is never posted to', async () => {
  const app = await start();
  const { cookie } = await signIn(app, TOKEN);
  const stop = (headers: Record<string, string>) =>
    fetch(`${app.url}/acts/stop-all`, {
      method: 'POST',
      redirect: 'manual',
      headers,
      body: new URLSearchParams(),
    });
  expect((await stop({ cookie: cookie! })).status).toBe(403);
  expect((await stop({ cookie: cookie!, origin: app.url })).status).toBe(303);
  expect(await db.sql('select stopped, stopped_by from retention.kill_switch')).toEqual([
    { stopped: true, stopped_by: 'alice' },
  ]);
  await db.sql(
    'update retention.kill_switch set stopped = false, stopped_by = null, reason = null, stopped_at = null',
  );
  expect((await fetch(app.url, { method: 'POST' })).status).toBe(405);
  expect((await fetch(`${app.url}/acts/stop-all`)).status).toBe(405);
});

it('what the framework hides or cannot read is refused, without a stack in the log', async () => {
  const app = await start();
  const call = (path: string, method = 'GET') =>
    new Promise<number>((done, failed) => {
      const at = new URL(app.url);
      const headers = { authorization: `Bearer ${SECRET}` };
      const asked = request({ host: at.hostname, port: at.port, path, method, headers }, (r) => {
        r.resume();
        done(r.statusCode ?? 0);
      });
      asked.on('error', failed).end();
    });
  for (const query of ['?nxtPdryRun=1', '?nxtIlimit=5', '?__proto__=1']) {
    expect([query, await call(`/api/cron/magic-links${query}`)]).toEqual([query, 400]);
  }
  const before = lines.length;
  for (const path of ['/api/cron/magic-links', '/api/control', '/']) {
    const status = await call(path, 'TRACE');
    expect([path, status >= 400 && status < 500]).toEqual([path, true]);
  }
  // What was refused before is a line of the log, which may be read only now.
  const since = lines.slice(before).filter((l) => !l.includes('"request.refused"'));
  expect(since.filter((l) => /error|TypeError| at /i.test(l))).toEqual([]);
  expect((await fetch(`${app.url}/_next/image?url=%2Fx.png&w=64&q=75`)).status).toBe(404);
});

it('outside production nothing is deleted, whatever is asked', async () => {
  await db.sql(`insert into magic_links (token_hash, issued_at) values ('h', now() - interval '2 days')`);
  const app = await start({ VERCEL_ENV: 'preview' });
  expect(await app.call('magic-links', '5 * * * *', { dryRun: '0' })).toMatchObject({
    mode: 'dry_run',
    deleted: 0,
    preview: { expired: 1 },
  });
  expect(await db.sql('select count(*)::int as n from magic_links')).toEqual([{ n: 1 }]);
});

it('a wrong setting stops the start, by name, and no request gets through', async () => {
  const app = await start({ RETENTION_DAYS_PRO: '0', CLEANUP_BATCH_SIZE: 'many' });
  const response = await fetch(`${app.url}/api/cron/magic-links`, {
    headers: { authorization: `Bearer ${SECRET}` },
  });
  expect(response.status).toBe(500);
  expect(lines.join('\n')).toContain('CLEANUP_BATCH_SIZE must be a whole number');
});
