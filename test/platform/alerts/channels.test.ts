import * as Sentry from '@sentry/nextjs';
import { createTransport } from 'nodemailer';
import { SMTPServer } from 'smtp-server';
import { expect, it, onTestFinished } from 'vitest';
import { sendersOf, transportOptions } from '@/lib/platform/alerts/channels';
import { readSettings } from '@/lib/platform/settings';
import { envelopes, sentryInto } from '../../support/envelopes';

it.each([
  ['smtp://user:secret@mail.example:587', true],
  ['smtp://127.0.0.1@mail.example', true],
  ['smtps://user:secret@mail.example:465', undefined],
  ['smtp://127.0.0.1:2525', undefined],
])('%s: plain text is for this machine only', (url, requireTLS) => {
  expect((transportOptions(url) as { requireTLS?: boolean }).requireTLS).toBe(requireTLS);
});

it('a server that offers no encryption gets neither password nor mail', async () => {
  const heard: string[] = [];
  const server = new SMTPServer({
    disabledCommands: ['STARTTLS'],
    authOptional: true,
    onAuth: (auth, _, done) => {
      heard.push(String(auth.password));
      done(null, { user: 'x' });
    },
    onMailFrom: (address, _, done) => {
      heard.push(address.address);
      done();
    },
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', () => done()));
  const { port } = server.server.address() as { port: number };
  // As for a server elsewhere, which a test cannot have.
  const options = { ...transportOptions('smtp://mail.example'), url: `smtp://u:secret@127.0.0.1:${port}` };
  const transport = createTransport(options);
  await expect(
    transport.sendMail({ from: 'a@example.com', to: 'b@example.com', text: 'x' }),
  ).rejects.toThrow();
  expect(heard).toEqual([]);
  transport.close();
  await new Promise<void>((done) => server.close(() => done()));
});

const ALERT = {
  id: '00000000-0000-4000-8000-000000000001',
  incident: '00000000-0000-4000-8000-000000000002',
  cause: 'run.late:things',
  message: 'things was due and has not done its work',
  openedAt: '2026-03-01T00:00:00.000Z',
  recoveredAt: null,
  environment: 'production',
} as const;
const sendersFor = (env: Record<string, string>) =>
  sendersOf(
    readSettings({
      DATABASE_URL: 'postgresql://app:pw@host.example/db',
      UPSTASH_REDIS_REST_URL: 'https://redis.example',
      UPSTASH_REDIS_REST_TOKEN: 'token',
      CRON_SECRET: 'sixteen-characters',
      ...env,
    }),
  );

it('Sentry is told of an incident by its cause, of what is over as no error, and of no person', async () => {
  const sink = await envelopes();
  onTestFinished(sentryInto(sink).stop);
  const { sentry } = sendersFor({ SENTRY_DSN: sink.dsn });
  await sentry?.({ ...ALERT, moment: 'critical' });
  await sentry?.({ ...ALERT, moment: 'recovered', recoveredAt: '2026-03-01T01:00:00.000Z' });
  await sentry?.({ ...ALERT, cause: 'audit.broken', moment: 'warning' });
  await Sentry.flush();
  expect(sink.text).toContain('Lapse:run.late');
  expect(sink.text).toContain('"policy":"things"');
  expect(sink.text).toContain('over: run.late:things');
  for (const level of ['error', 'info', 'warning']) expect(sink.text).toContain(`"level":"${level}"`);
  await sink.stop();
});

it('a channel that nobody listens at is named by its class only, never by its address', async () => {
  const { webhook, email } = sendersFor({
    ALERT_WEBHOOK_URL: 'http://127.0.0.1:1/hook',
    ALERT_WEBHOOK_SECRET: 'a-webhook-secret-of-the-tests',
    ALERT_EMAIL_SMTP_URL: 'smtp://127.0.0.1:1',
    ALERT_EMAIL_FROM: 'lapse@example.com',
    ALERT_EMAIL_TO: 'ops@example.com',
  });
  const failed = (sent: Promise<void> | undefined) =>
    sent?.then(
      () => null,
      (error: { code: string; message: string }) => [error.code, error.message],
    );
  expect(await failed(webhook?.({ ...ALERT, moment: 'warning' }))).toEqual([
    'webhook.unreachable',
    expect.not.stringContaining('127.0.0.1'),
  ]);
  expect(await failed(email?.({ ...ALERT, moment: 'warning' }))).toEqual([
    expect.stringMatching(/^email\.[A-Za-z]+$/),
    expect.not.stringContaining('127.0.0.1'),
  ]);
});
