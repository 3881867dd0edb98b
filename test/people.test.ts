/**
 * M3 with real people in every place a run looks at: names and addresses in rows, in names of files, in payloads, in what
 * the database raises, in requests. Everything that reaches Sentry while policies, jobs and orders run and fail is read
 * byte by byte.
 */
import * as Sentry from '@sentry/nextjs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type LocalStripe, startLocalStripe } from '@/lib/dev/local-cloud/stripe';
import { seed } from '@/lib/example/seed';
import { drainOutbox } from '@/lib/files/drain';
import { reconcile } from '@/lib/files/reconcile/reconcile';
import { cronRoute } from '@/lib/http/cron-route';
import { erasureRoute } from '@/lib/http/erasure-route';
import { jobRoute } from '@/lib/http/job-route';
import { sealAudit } from '@/lib/operators/audit/seal';
import { watchOrders } from '@/lib/orders/watch';
import type { JobRequest } from '@/lib/platform/job';
import { policies } from '@/lib/policies';
import { resumeErasures } from '@/lib/rights/erase';
import type { Services } from '@/lib/services';
import { measureQuality } from '@/lib/watch/quality/job';
import { type PrivateCloud, privateCloud } from './support/cloud';
import { type Engine, engine, NOW } from './support/engine';
import { type Envelopes, envelopes, type SentryClient, sentryInto } from './support/envelopes';
import { OPERATORS, TOKENS } from './support/operators';

const SECRET = 'a-secret-of-the-tests';
let sink: Envelopes;
let sentry: SentryClient;
let cloud: PrivateCloud;
let stripe: LocalStripe;
let e: Engine;
let s: Services;
/** Each seeded address and name, in lower case. */
let people: string[];

beforeAll(async () => {
  vi.stubEnv('CRON_SECRET', SECRET);
  [sink, cloud, stripe] = await Promise.all([envelopes(), privateCloud(), startLocalStripe()]);
  e = await engine({
    env: {
      BLOB_READ_WRITE_TOKEN: cloud.env('none').BLOB_READ_WRITE_TOKEN!,
      // It knows none of the payments, and says so by their names.
      STRIPE_SECRET_KEY: 'sk_test_local0000',
      STRIPE_API_BASE: stripe.url,
      LAPSE_OPERATORS: OPERATORS,
    },
  });
  // After the database: it points the store's client to the shared one.
  cloud.useBlob();
  // Its trigger was looked at and let through, as one that guards rows of an application would be.
  s = {
    ...e.services,
    policies: policies.map((p) => ({ ...p, knownTriggers: [...p.knownTriggers, 'boom'] })),
  };
  await seed(e.db.ownerUrl, { rows: 400, asOf: NOW });
  await peoplePlaces();
  const rows = await e.db.sql('select email, name from users');
  people = rows.flatMap((r) => [String(r.email), String(r.name)]).map((x) => x.toLowerCase());
  sentry = sentryInto(sink);
});
afterAll(async () => {
  await sentry.stop();
  vi.unstubAllEnvs();
  await Promise.all([sink.stop(), cloud.stop(), stripe.stop(), e.stop()]);
});

/** Names nobody else has, and each person's address and name wherever the tables have room for text. */
async function peoplePlaces(): Promise<void> {
  const any = `(select u.email || ' ' || u.name from users u order by md5(u.id::text || t.id::text) limit 1)`;
  for (const statement of [
    `update users set name = 'Ottilie-' || md5(id::text) || ' Quastenflosser', email = 'o.' || left(md5(email), 9) || '@example.com'`,
    `update quiz_responses t set quiz = ${any}, answers = jsonb_build_object('me', ${any})`,
    `update magic_links t set token_hash = ${any} || t.id`,
    `update webhook_events t set kind = ${any}, payload = jsonb_build_object('customer', ${any})`,
    `update render_jobs t set tmp_file_url = 'tmp/' || ${any} || t.id`,
    `update render_job_logs t set line = ${any}`,
    `update generated_pdfs t set file_url = 'pdfs/' || ${any} || t.id`,
    `update artifacts t set storage_key = 'artifacts/' || ${any} || t.id`,
    `update documents t set title = ${any}, body = ${any}`,
    `update orders t set payment_intent_id = ${any} || t.id`,
  ]) {
    await e.db.sql(statement);
  }
}

const request = (path: string, schedule: string | null = '0 2 * * *', init: RequestInit = {}) =>
  new Request(`http://localhost${path}`, {
    ...init,
    headers: {
      authorization: `Bearer ${SECRET}`,
      'user-agent': schedule ? 'vercel-cron/1.0' : `agent of ${people[0]}`,
      cookie: `who=${people[0]}`,
      ...(schedule ? { 'x-vercel-cron-schedule': schedule } : {}),
      ...(init.headers as Record<string, string>),
    },
  });
const run = async (name: string): Promise<Record<string, unknown>> =>
  (await (await cronRoute(name, () => s).GET(request(`/api/cron/${name}`))).json()) as Record<
    string,
    unknown
  >;
const jobs: Record<
  string,
  (services: Services, request: JobRequest) => ReturnType<Parameters<typeof jobRoute>[1]>
> = {
  'blob-outbox': (services, request) => drainOutbox(services, { ...request, patienceMs: 0 }),
  'blob-reconcile': (services, request) => reconcile(services, { ...request, mayDelete: true }),
  erasures: (services, request) => resumeErasures(services, { ...request, actor: request.trigger }),
  'order-review-sla': (services, request) => watchOrders(services, request),
  'audit-seal': sealAudit,
  'data-quality': measureQuality,
};
const runJob = async (name: string): Promise<Record<string, unknown>> =>
  (await (await jobRoute(name, jobs[name]!, () => s).GET(request(`/api/cron/${name}`))).json()) as Record<
    string,
    unknown
  >;

const outcomes = async (): Promise<Record<string, unknown>> => {
  const all: Record<string, unknown> = {};
  for (const p of policies) all[p.name] = (await run(p.name)).outcome ?? 'failed';
  for (const name of Object.keys(jobs)) all[name] = (await runJob(name)).outcome ?? 'failed';
  return all;
};
const erase = async () => {
  const [user] = await e.db.sql('select id::text from users order by email limit 1');
  return erasureRoute(() => s).POST(
    request('/api/erasure', null, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKENS.alice}` },
      body: JSON.stringify({ user: user?.id, reason: `asked by ${people[0]}` }),
    }),
  );
};

/** What refuses to go says whose it is, in each of the ways PostgreSQL has to say so. */
async function breakThings(): Promise<void> {
  const person = `(select u.email || ' ' || u.name from users u order by u.email limit 1)`;
  await e.db.sql(`create function boom() returns trigger language plpgsql as $$
    begin
      raise exception 'row of %', ${person} using detail = 'Key (email)=(' || ${person} || ') is still referenced',
        hint = ${person}, errcode = tg_argv[0];
    end $$`);
  for (const [table, code] of [
    ['magic_links', '23503'],
    ['generated_pdfs', 'P0001'],
    ['artifacts', 'XX000'],
    // As a trigger of an application refuses: a class whose messages usually name objects only.
    ['documents', '42501'],
    ['render_jobs', '21000'],
  ]) {
    await e.db.sql(
      `create trigger boom before delete or update on ${table} for each row execute function boom('${code}')`,
    );
  }
  await e.db.sql(`create trigger boom before update on orders for each row execute function boom('23505')`);
  await e.db.sql('alter table webhook_events rename to webhook_events_gone');
  cloud.setFaults(({ service, n }) =>
    service === 'blob' && n % 2 === 0 ? { kind: 'refuse', status: 500, message: people[0]! } : undefined,
  );
}
async function mendThings(): Promise<void> {
  await e.db.sql('alter table if exists webhook_events_gone rename to webhook_events');
  await e.db.sql('drop function if exists boom() cascade');
  cloud.setFaults(undefined);
}

/** Every byte that was sent so far, in each way a name may be written. */
async function nobodyIn(sent: Envelopes): Promise<void> {
  await Sentry.flush(5_000);
  const text = sent.text.toLowerCase();
  const written = (x: string) => [
    x,
    encodeURIComponent(x),
    x.replaceAll(' ', '+'),
    Buffer.from(x).toString('base64').toLowerCase(),
  ];
  expect(people.length).toBeGreaterThanOrEqual(100);
  expect(people.filter((x) => written(x).some((w) => text.includes(w)))).toEqual([]);
  // Nor a piece of one.
  expect(text).not.toContain('quastenflosser');
  expect(text).not.toContain('@example.com');
  expect(text).not.toContain(SECRET);
  // Nor what the operator proved themselves with.
  for (const token of Object.values(TOKENS)) expect(text).not.toContain(token);
}
const checkIns = () =>
  new Set(
    [...sink.text.matchAll(/"monitor_slug":"([\w-]+)","status":"(\w+)"/g)].map((m) => `${m[1]} ${m[2]}`),
  );

describe('no seeded address or name reaches Sentry', () => {
  it('even while policies, jobs and orders fail', async () => {
    await breakThings();
    const failed = await outcomes();
    await erase();
    await cronRoute('quiz-responses', () => s).GET(
      request(`/api/cron/quiz-responses?email=${people[0]}`, null),
    );
    await cronRoute('quiz-responses', () => {
      throw new Error(`no service for ${people[0]} ${people[1]}`);
    }).GET(request('/api/cron/quiz-responses'));
    await nobodyIn(sink);
    // They really failed, in what they were given, and said so.
    expect(failed).toMatchObject({
      'webhook-events': 'errored',
      documents: 'errored',
      artifacts: 'errored',
      'order-review-sla': 'failed',
    });
    expect(checkIns()).toContain('webhook-events error');
    for (const code of ['XX000', '42501', '21000', '23505'])
      expect(sink.text).toContain(`PostgreSQL ${code}"`);
  });

  it('nor while they succeed', async () => {
    await mendThings();
    const worked = await outcomes();
    await erase();
    await nobodyIn(sink);
    expect(worked).toMatchObject({ 'quiz-responses': 'succeeded', 'order-review-sla': 'succeeded' });
    const seen = checkIns();
    for (const name of [...policies.map((p) => p.name), ...Object.keys(jobs)]) {
      expect(seen).toContain(`${name} in_progress`);
    }
    expect(sink.text).toContain('lapse.batch');
  });
});
