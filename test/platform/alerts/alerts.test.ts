import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { deliver } from '@/lib/platform/alerts/deliver';
import { reportIncidents, type Symptom } from '@/lib/platform/alerts/incidents';
import type { Services } from '@/lib/services';
import { type Engine, engine, NOW } from '../../support/engine';

const SECRET = 'a-webhook-secret-of-the-tests';
let e: Engine;
let now: number;
let services: Services;
let posts: { headers: Record<string, unknown>; body: string }[];
let answer: number;
let mails: string[];
let web: Server;
let smtp: SMTPServer;

beforeEach(async () => {
  posts = [];
  mails = [];
  answer = 200;
  now = NOW.getTime();
  web = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (d: Buffer) => parts.push(d));
    request.on('end', () => {
      posts.push({ headers: request.headers, body: Buffer.concat(parts).toString() });
      response.statusCode = answer;
      response.end();
    });
  });
  smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData: (stream, _, done) => {
      const parts: Buffer[] = [];
      stream.on('data', (d: Buffer) => parts.push(d));
      stream.on('end', () => {
        mails.push(Buffer.concat(parts).toString());
        done();
      });
    },
  });
  await Promise.all([
    new Promise<void>((done) => web.listen(0, '127.0.0.1', done)),
    new Promise<void>((done) => {
      smtp.listen(0, '127.0.0.1', () => done());
    }),
  ]);
  const port = (s: { address(): unknown }) => (s.address() as AddressInfo).port;
  e = await engine({
    env: {
      ALERT_WEBHOOK_URL: `http://127.0.0.1:${port(web)}/hook`,
      ALERT_WEBHOOK_SECRET: SECRET,
      ALERT_EMAIL_SMTP_URL: `smtp://127.0.0.1:${port(smtp.server)}`,
      ALERT_EMAIL_FROM: 'lapse@example.com',
      ALERT_EMAIL_TO: 'ops@example.com, on-call@example.com',
    },
  });
  services = { ...e.services, clock: () => new Date(now) };
});
afterEach(async () => {
  await new Promise<void>((done) => {
    smtp.close(() => done());
  });
  web.close();
  await e.stop();
});

const late = (changes: Partial<Symptom> = {}): Symptom => ({
  cause: 'run.late:things',
  severity: 'warning',
  message: 'things was due and has not done its work',
  ...changes,
});
const moments = () => posts.map((p) => JSON.parse(p.body).moment);

it('an incident is reported on every channel, once however often it is seen, and its end once', async () => {
  for (let i = 0; i < 3; i += 1) await reportIncidents(services, { wrong: [late()] });
  expect(await deliver(services)).toEqual({ sent: 2, failed: 0 });
  expect(await deliver(services)).toEqual({ sent: 0, failed: 0 });
  await reportIncidents(services, { over: ['run.late:things'] });
  await reportIncidents(services, { over: ['run.late:things'] });
  expect(await deliver(services)).toEqual({ sent: 2, failed: 0 });
  expect(moments()).toEqual(['warning', 'recovered']);
  expect(mails).toHaveLength(2);
  expect(mails[0]).toContain('Subject: [Lapse production] warning: run.late:things');
  expect(mails[0]).toContain('To: ops@example.com, on-call@example.com');
  expect(mails[1]).toContain('over: run.late:things');
});

it('what gets worse is reported again, and what was critical does not become a warning', async () => {
  await reportIncidents(services, { wrong: [late()] });
  await reportIncidents(services, { wrong: [late({ severity: 'critical' })] });
  await reportIncidents(services, { wrong: [late()] });
  await deliver(services);
  expect(moments().sort()).toEqual(['critical', 'warning']);
  expect(await e.db.sql('select severity, times from retention.incident')).toEqual([
    { severity: 'critical', times: 3 },
  ]);
});

it('instances that see it at the same time open one incident and send each alert once', async () => {
  await Promise.all(Array.from({ length: 12 }, () => reportIncidents(services, { wrong: [late()] })));
  const counts = await Promise.all(Array.from({ length: 12 }, () => deliver(services)));
  expect(counts.reduce((sum, c) => sum + c.sent, 0)).toBe(2);
  expect(posts).toHaveLength(1);
  expect(mails).toHaveLength(1);
  expect(await e.db.sql('select times from retention.incident')).toEqual([{ times: 12 }]);
});

it('after it recovered the same cause is a new incident', async () => {
  await reportIncidents(services, { wrong: [late()] });
  await reportIncidents(services, { over: ['run.late:things'] });
  await reportIncidents(services, { wrong: [late()] });
  expect(await e.db.sql('select count(*)::int as n from retention.incident')).toEqual([{ n: 2 }]);
});

it('a webhook is signed over time and body, and says what it is about', async () => {
  await reportIncidents(services, { wrong: [late()] });
  await deliver(services);
  const { headers, body } = posts[0]!;
  const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['x-lapse-signature'])) ?? [];
  expect(v1).toBe(createHmac('sha256', SECRET).update(`${t}.${body}`).digest('hex'));
  expect(JSON.parse(body)).toMatchObject({
    id: headers['x-lapse-delivery'],
    cause: 'run.late:things',
    moment: 'warning',
    openedAt: '2026-03-01T02:00:00Z',
    recoveredAt: null,
    environment: 'production',
  });
});

it.each([
  ['a secret of the standard', `whsec_${Buffer.alloc(32, 7).toString('base64')}`, undefined],
  ['any other secret', SECRET, { format: 'raw' as const }],
])('a receiver verifies a webhook with a library of the standard: %s', async (_, secret, format) => {
  const { webhook } = services.settings.alerts;
  const alerts = { ...services.settings.alerts, webhook: { ...webhook!, secret } };
  services = { ...services, settings: { ...services.settings, alerts } };
  await reportIncidents(services, { wrong: [late()] });
  await deliver(services);
  const { headers, body } = posts[0]!;
  const sent = Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, String(v)]));
  expect(new Webhook(secret, format).verify(body, sent)).toMatchObject({ id: sent['webhook-id'] });
  const changed = body.replace('warning', 'critical');
  expect(() => new Webhook(secret, format).verify(changed, sent)).toThrow('No matching signature');
});

it('what a channel refuses is tried again with the same id, and a recovery waits for the alert it ends', async () => {
  answer = 503;
  await reportIncidents(services, { wrong: [late()] });
  expect(await deliver(services)).toEqual({ sent: 1, failed: 1 });
  await reportIncidents(services, { over: ['run.late:things'] });
  await deliver(services);
  expect(moments()).toEqual(['warning']);
  answer = 200;
  now += 61_000;
  await deliver(services);
  await deliver(services);
  expect(moments()).toEqual(['warning', 'warning', 'recovered']);
  expect(JSON.parse(posts[1]!.body).id).toBe(JSON.parse(posts[0]!.body).id);
});

it('what a sender that died was sending is sent by the next one', async () => {
  await reportIncidents(services, { wrong: [late()] });
  await e.db.sql(
    `update retention.alert set attempts = 1, next_attempt_at = $1::timestamptz + interval '60 s'`,
    [new Date(now).toISOString()],
  );
  expect(await deliver(services)).toEqual({ sent: 0, failed: 0 });
  now += 60_000;
  expect(await deliver(services)).toEqual({ sent: 2, failed: 0 });
});

it('what a sender is sending is sent by no other', async () => {
  await reportIncidents(services, { wrong: [late()] });
  let second: unknown;
  const database: Services['database'] = {
    transaction: async (statements, options) => {
      if (statements.some((s) => s.text.includes('e(id uuid, attempts int, error text)')))
        second = await deliver(services);
      return services.database.transaction(statements, options);
    },
  };
  expect(await deliver({ ...services, database })).toEqual({ sent: 2, failed: 0 });
  expect(second).toEqual({ sent: 0, failed: 0 });
});

it('a sender whose alert another has claimed meanwhile settles nothing', async () => {
  await reportIncidents(services, { wrong: [late()] });
  const database: Services['database'] = {
    transaction: async (statements, options) => {
      if (statements.some((s) => s.text.includes('e(id uuid, attempts int, error text)')))
        await e.db.sql('update retention.alert set attempts = attempts + 1');
      return services.database.transaction(statements, options);
    },
  };
  await deliver({ ...services, database });
  expect(await e.db.sql('select state, attempts from retention.alert')).toEqual([
    { state: 'pending', attempts: 2 },
    { state: 'pending', attempts: 2 },
  ]);
});

it('a channel that never takes it ends as dead after twenty attempts', async () => {
  answer = 500;
  await reportIncidents(services, { wrong: [late()] });
  await e.db.sql(`update retention.alert set attempts = 19 where channel = 'webhook'`);
  await deliver(services);
  expect(await e.db.sql(`select state, error from retention.alert where channel = 'webhook'`)).toEqual([
    { state: 'dead', error: 'webhook.500' },
  ]);
});

it('news of the same kind is reported again, at most once an hour, with its current words', async () => {
  const order = (n: number) => late({ cause: 'order.escalated:breach', message: `${n} orders`, again: true });
  await reportIncidents(services, { wrong: [order(1)] });
  await deliver(services);
  now += 300_000;
  await reportIncidents(services, { wrong: [order(2)] });
  now += 300_000;
  await reportIncidents(services, { wrong: [order(3)] });
  await deliver(services);
  expect(posts).toHaveLength(1);
  now += 3_600_000;
  await deliver(services);
  expect(posts.map((p) => JSON.parse(p.body).message)).toEqual(['1 orders', '3 orders']);
});

it('an incident that cannot be written down is in the log and does not break the run', async () => {
  await e.db.sql('revoke insert on retention.incident from lapse_app');
  await reportIncidents(services, { wrong: [late()] });
  expect(await deliver(services)).toEqual({ sent: 0, failed: 0 });
});
