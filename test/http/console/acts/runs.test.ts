import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Behind, runNowRoute } from '@/lib/http/console/run-acts';
import { LapseError } from '@/lib/platform/errors';
import { createLog } from '@/lib/platform/log';
import type { Services } from '@/lib/services';
import { CONSOLE_ENV, form, shown } from '@/test/support/console';
import { DAY, govern, things } from '@/test/support/engine';
import { type Envelopes, envelopes, type SentryClient, sentryInto } from '@/test/support/envelopes';
import { type Guarded, guarded } from '@/test/support/guarded';

let e: Guarded;
let s: Services;
let sink: Envelopes;
let sentry: SentryClient;
const lines: Record<string, unknown>[] = [];
beforeEach(async () => {
  sink = await envelopes();
  sentry = sentryInto(sink);
  lines.length = 0;
  e = await guarded({ ...CONSOLE_ENV, LAPSE_MASS_DELETION_GUARD: 'off' });
  const policy = await govern(e.db);
  await things(e.db, [40 * DAY]);
  const log = createLog({
    level: 'info',
    destination: { write: (line) => void lines.push(JSON.parse(line)) },
  });
  s = { ...e.services, policies: [policy], log };
});
afterEach(async () => {
  await sentry.stop();
  await Promise.all([e.stop(), sink.stop()]);
});

/** The form, and what goes on behind its answer. */
async function begun(services: Services, atOnceMs?: number) {
  const work: Promise<unknown>[] = [];
  const behind: Behind = (later) => void work.push(later());
  const fields = { policy: 'things', confirm: 'things', reason: 'ticket 4' };
  const answer = await runNowRoute(behind, () => services, atOnceMs).POST(
    await form(services, 'otto', fields),
  );
  return { answer, over: () => Promise.all(work) };
}
const failures = () => lines.filter((line) => /failed$/.test(String(line.event)));
const events = () => sink.text.split('\n').filter((line) => line.includes('"exception"'));
/** On a busy machine the envelope comes after the two seconds that a flush waits. */
async function reportedOnce(): Promise<void> {
  await vi.waitFor(() => expect(events().length).toBeGreaterThan(0), 15_000);
  expect(events()).toHaveLength(1);
}

/** A database that answers nothing until it is told to fail. */
function hanging(): { services: Services; fail: () => void } {
  let fail = () => {};
  const failed = new Promise<never>((_, no) => {
    fail = () => no(new LapseError('database.fatal', 'the database is away'));
  });
  failed.catch(() => undefined);
  const database = { ...s.database, transaction: () => failed };
  return { services: { ...s, database }, fail };
}

it('a run that fails when its page has answered is reported once, under its policy, in the log and to Sentry', async () => {
  const { services, fail } = hanging();
  const { answer, over } = await begun(services);
  const page = await shown(services, answer);
  expect([page.said?.text, page.path]).toEqual([
    'The run has begun.',
    expect.stringMatching(/^\/runs\/[0-9a-f-]{36}$/),
  ]);
  expect([failures(), events()]).toEqual([[], []]);
  fail();
  await over();
  expect(failures()).toMatchObject([{ event: 'run.failed', error_code: 'database.fatal' }]);
  await reportedOnce();
  expect(events()[0]).toContain('things');
});

it('a run that fails before its page has answered is told by the page, and reported once', async () => {
  const away = () => Promise.reject(new LapseError('database.fatal', 'the database is away'));
  const services = { ...s, database: { ...s.database, transaction: away } };
  const { answer, over } = await begun(services, 60_000);
  await over();
  expect((await shown(services, answer)).said).toMatchObject({
    done: false,
    text: expect.stringContaining('This was not done'),
  });
  expect(failures()).toHaveLength(1);
  await reportedOnce();
});
