/** The built app over one store, asked as a signed-in operator, with what each page asked of the database. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { type App, freePort, startApp } from '../demo/app';
import { type Visit, visits } from './pages';
import { type Recorded, recorder } from './recorder';

/** Each with every role: so many that no one of them asks the API more than 120 times a minute. */
const OPERATORS = 24;
const ROLES = 'operator+approver+auditor';

interface Opened {
  readonly status: number;
  readonly ms: number;
  readonly asked: readonly Recorded[];
  readonly text: string;
}

export interface Store {
  readonly ownerUrl: string;
  visits(): Promise<Visit[]>;
  open(path: string): Promise<Opened>;
  stop(): Promise<void>;
}

/** `env`: the settings of an app that uses this store; `ownerUrl`: to look behind its back. */
export async function openStore(env: Readonly<Record<string, string>>, ownerUrl: string): Promise<Store> {
  const record = await recorder(env.NEON_HTTP_ENDPOINT!);
  const tokens = Array.from({ length: OPERATORS }, () => randomBytes(24).toString('hex'));
  const metrics = randomBytes(24).toString('hex');
  const app = await startApp(
    {
      ...env,
      NEON_HTTP_ENDPOINT: record.url,
      VERCEL_ENV: 'production',
      CRON_SECRET: randomBytes(24).toString('hex'),
      METRICS_TOKEN: metrics,
      LAPSE_NAMESPACE: `scale-${randomUUID()}`,
      LAPSE_OPERATORS: tokens.map((token, i) => `scale${i}:${ROLES}:${hashOf(token)}`).join(','),
      LAPSE_SESSION_SECRET: randomBytes(36).toString('base64'),
      LAPSE_RIGHTS_KEY: randomBytes(32).toString('hex'),
    },
    await freePort(),
    (line) => process.env.SCALE_LOG && console.error(line),
  );
  const cookie = await signIn(app, tokens[0]!);
  const owner = new Client(ownerUrl);
  await owner.connect();
  let turn = 0;
  const headers = (path: string): Record<string, string> => {
    if (/^\/api\/(metrics|health)/.test(path)) return { authorization: `Bearer ${metrics}` };
    turn += 1;
    return path.startsWith('/api/') ? { authorization: `Bearer ${tokens[turn % OPERATORS]}` } : { cookie };
  };
  return {
    ownerUrl,
    visits: () => visits(owner),
    open: async (path) => {
      record.take();
      const began = performance.now();
      const answer = await fetch(`${app.url}${path}`, { headers: headers(path), redirect: 'manual' });
      const text = await answer.text();
      return { status: answer.status, ms: performance.now() - began, asked: record.take(), text };
    },
    stop: async () => {
      await owner.end();
      await app.stop();
      await record.stop();
    },
  };
}

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

async function signIn(app: App, token: string): Promise<string> {
  const answer = await fetch(`${app.url}/acts/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { origin: app.url },
    body: new URLSearchParams({ token }),
  });
  const cookie = answer.headers.getSetCookie().find((c) => c.startsWith('__Host-lapse='));
  if (cookie === undefined) throw new Error('the console did not let the operator in');
  return cookie.split(';')[0]!;
}
