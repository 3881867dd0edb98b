import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquire, leaseToken, save } from '@/lib/engine/run/checkpoint';
import { beatRoute } from '@/lib/http/console/beat-route';
import { numbersOf } from '@/lib/http/console/numbers';
import { policiesNow } from '@/lib/http/console/policies';
import { daysIn, historyOf, whatIf } from '@/lib/http/console/policy';
import { runNow } from '@/lib/http/console/run';
import { previewRoute, runNowRoute } from '@/lib/http/console/run-acts';
import type { Policy } from '@/lib/policies/contract';
import { versionOf } from '@/lib/policies/fingerprint';
import type { Services } from '@/lib/services';
import { CONSOLE_ENV, cookieOf, form, ORIGIN, STAFF, type Staff, shown } from '@/test/support/console';
import { DAY, govern, NOW, things } from '@/test/support/engine';
import { type Guarded, guarded } from '@/test/support/guarded';

let e: Guarded;
let s: Services;
let policy: Policy;
beforeEach(async () => {
  e = await guarded({ ...CONSOLE_ENV, LAPSE_MASS_DELETION_GUARD: 'off' });
  policy = await govern(e.db);
  s = { ...e.services, policies: [policy] };
});
afterEach(() => e.stop());

const now = async (services = s) => (await policiesNow(services, [policy])).policies[0]!;
const away = async () => {
  throw new Error('away');
};
const withoutRedis = (): Services => ({ ...s, redis: { ...s.redis, eval: away, get: away, mget: away } });

describe('the start page', () => {
  it('says what each policy did last, and how its runs went', async () => {
    expect((await now()).state.word).toBe('Not run yet');
    await things(e.db, [40 * DAY, 50 * DAY, DAY]);
    await e.run(policy);
    const p = await now();
    expect(p.state.word).toBe('Drained');
    expect(p.nights).toEqual([2]);
    // A dry run after it says what would go, and does not stand for the run.
    await e.run(policy, { dryRun: true });
    expect((await now()).state.word).toBe('Drained');
  });

  it('names who paused a policy, and who stopped everything', async () => {
    await e.run(policy);
    await e.db.sql(`select retention.pause_policy('otto', 'legal asks', 'things')`);
    expect((await now()).state).toMatchObject({ word: 'Paused' });
    expect((await now()).state.sentence).toContain('otto');
    await e.db.sql(`select retention.stop_all('maria', 'too much')`);
    expect((await policiesNow(s, [policy])).stopped).toMatchObject({ by: 'maria', why: 'too much' });
  });

  it('stands without Redis, and says that it does not know what runs', async () => {
    await e.run(policy);
    const found = await policiesNow(withoutRedis(), [policy]);
    expect([found.live, found.policies[0]?.state.word]).toEqual([false, 'Drained']);
  });

  it('counts what went in a day and what holds kept, and says whether the chain was verified', async () => {
    await things(e.db, [40 * DAY, 50 * DAY]);
    await e.run(policy);
    const numbers = await numbersOf({ ...s, clock: () => new Date(NOW.getTime() + 3_600_000) });
    expect(numbers.gone).toMatchObject({ rows: 2, complete: true, unusual: false });
    expect(numbers.kept).toMatchObject({ holds: 0, rows: 0 });
    expect(numbers.proof).toMatchObject({ verifiedAt: null, broken: false });
    const later = await numbersOf({ ...s, clock: () => new Date(NOW.getTime() + 3 * DAY * 1000) });
    expect(later.gone.rows).toBe(0);
  });
});

describe('a policy’s page', () => {
  it('pages through its runs by a keyset: each once, the newest first, to the end', async () => {
    for (let n = 0; n < 45; n += 1) await e.run(policy, { dryRun: true });
    // Of one instant, so that only the id tells them apart.
    await e.db.sql(`update retention.run set started_at = date_trunc('hour', started_at)`);
    const seen: string[] = [];
    let before: string | undefined;
    do {
      const page = await historyOf(s, 'things', before);
      seen.push(...page.runs.map((r) => r.id));
      before = page.older ?? undefined;
    } while (before);
    expect([seen.length, new Set(seen).size]).toEqual([45, 45]);
    expect((await historyOf(s, 'things', 'nonsense')).runs).toHaveLength(20);
  });

  it('shows who changed what, and what the newest dry run found by rule', async () => {
    await things(e.db, [40 * DAY]);
    await e.run(policy, { dryRun: true });
    const { versions, preview } = await historyOf(s, 'things');
    expect(preview).toMatchObject({ expired: 1, complete: true });
    expect(Object.values(preview!.by_rule!)).toMatchObject([{ expired: 1 }]);
    expect(versions).toEqual([]);
    await e.run(policy);
    expect((await historyOf(s, 'things')).versions).toMatchObject([{ version: versionOf(policy) }]);
  });

  it('counts what would go if rows were kept another time, and changes nothing', async () => {
    await things(e.db, [40 * DAY, 12 * DAY, 5 * DAY, DAY]);
    expect(await whatIf(s, policy, 10)).toMatchObject({ days: 10, now: 2, inAMonth: 4 });
    expect(await whatIf(s, policy, 400)).toMatchObject({ now: 0, inAMonth: 0 });
    expect(await e.db.sql('select count(*)::int as n from things')).toEqual([{ n: 4 }]);
    for (const text of ['0', '-1', '40000', 'ten', '1e3', ''])
      expect(() => daysIn(text)).toThrow(/whole number/);
  });
});

describe('a run', () => {
  const beat = async (id: string, who: Staff | null, services = s) => {
    const headers: Record<string, string> = who ? { cookie: await cookieOf(s, who) } : {};
    return beatRoute(() => services).GET(new Request(`${ORIGIN}/runs/${id}/beat`, { headers }));
  };
  const begun = async (): Promise<string> => {
    const id = randomUUID();
    await e.db.sql(
      `select retention.begin_run('things', $1::uuid, 'v', $2::timestamptz, 'cron', 'cron', 'c')`,
      [id, NOW.toISOString()],
    );
    return id;
  };

  it('that deletes says how far it is, from its checkpoint', async () => {
    const id = await begun();
    const token = leaseToken(id);
    await acquire(s.redis, 'things', token);
    expect((await runNow(s, id))?.state.sentence).toBe('Deleting: 0 so far. The total is not known yet.');
    await save(s.redis, 'things', token, {
      ...{ pass: randomUUID(), asOf: NOW.toISOString(), version: 'v', leg: 0, position: null, runId: id },
      ...{ processed: 62, total: 100, updatedAt: NOW.toISOString(), kept: {} },
    });
    const answer = await beat(id, 'vera');
    expect(await answer.json()).toMatchObject({ ended: false, share: 0.62, word: 'Running' });
    expect((await now()).state.sentence).toContain('62 of 100');
    // Without Redis no one knows, and no one says that it runs.
    expect((await runNow(withoutRedis(), id))?.state.word).toBe('Unheard');
  });

  it('tells nobody who is not signed in, and knows no run that was never recorded', async () => {
    const id = await begun();
    expect([(await beat(id, null)).status, (await beat(id, 'vera')).status]).toEqual([401, 200]);
    expect((await beat(randomUUID(), 'vera')).status).toBe(404);
    expect((await beat('x', 'vera')).status).toBe(404);
    expect(await runNow(s, randomUUID())).toBeNull();
  });

  it('that has ended says what went and what stayed, with its batches', async () => {
    await things(e.db, [40 * DAY, 50 * DAY]);
    const { runId } = await e.run(policy);
    const found = (await runNow(s, runId!))!;
    expect(found.record).toMatchObject({ deleted: 2, outcome: 'succeeded', batches: 1 });
    expect(found.batches).toMatchObject([{ seq: 1, deleted: 2 }]);
    expect(found.state.sentence).toContain('2 deleted at');
  });
});

describe('a run that is asked for', () => {
  /** On a slow machine, too, a small run is over before its page answers. */
  const PATIENT_MS = 60_000;
  const behind: Promise<unknown>[] = [];
  const after = (work: () => Promise<unknown>) => void behind.push(work());
  const ask = async (
    kind: 'preview' | 'run-now',
    who: Staff,
    fields: Record<string, string>,
    services = s,
  ) => {
    const route =
      kind === 'preview'
        ? previewRoute(after, () => services, PATIENT_MS)
        : runNowRoute(after, () => services, PATIENT_MS);
    const answer = await route.POST(await form(s, who, { policy: 'things', ...fields }));
    await Promise.all(behind.splice(0));
    return answer;
  };
  const left = async () => (await e.db.sql('select count(*)::int as n from things'))[0]?.n;
  beforeEach(() => things(e.db, [40 * DAY, DAY]));

  it('dry reads only, carries its operator’s name, and leads to its page', async () => {
    const answer = await shown(s, await ask('preview', 'otto', {}));
    const id = answer.path.replace('/runs/', '');
    expect((await runNow(s, id))?.record).toMatchObject({
      mode: 'dry_run',
      actor: 'otto',
      preview: { expired: 1 },
    });
    expect(await left()).toBe(2);
  });

  it('at once deletes what has expired, when its name was typed and a reason given', async () => {
    const refused = await shown(s, await ask('run-now', 'otto', { confirm: 'thing', reason: 'backlog' }));
    expect([refused.path, refused.said?.field, await left()]).toEqual(['/policies/things/run', 'confirm', 2]);
    expect(refused.said?.typed.reason).toBe('backlog');
    const noReason = await shown(s, await ask('run-now', 'otto', { confirm: 'things', reason: ' ' }));
    expect([noReason.said?.field, await left()]).toEqual(['reason', 2]);
    const done = await shown(s, await ask('run-now', 'otto', { confirm: 'things', reason: 'backlog' }));
    expect([done.said?.done, await left()]).toEqual([true, 1]);
    expect((await runNow(s, done.path.replace('/runs/', '')))?.record).toMatchObject({
      actor: 'otto',
      deleted: 1,
    });
    const run = done.path.replace('/runs/', '');
    expect(
      await e.db.sql(
        `select actor, subject, reason, detail from retention.audit_entry where action = 'run.asked'`,
      ),
    ).toEqual([{ actor: 'otto', subject: run, reason: 'backlog', detail: { policy: 'things' } }]);
  });

  it('that may not begin says why on the policy’s page', async () => {
    await e.run(policy, { dryRun: true });
    await e.db.sql(`select retention.pause_policy('maria', 'legal asks', 'things')`);
    const answer = await shown(s, await ask('run-now', 'otto', { confirm: 'things', reason: 'backlog' }));
    expect([answer.path, await left()]).toEqual(['/policies/things', 2]);
    expect(answer.said?.text).toContain('this policy is paused');
  });

  it.each(Object.keys(STAFF).filter((who) => !['otto', 'maria'].includes(who)) as Staff[])(
    'is refused to %s, whose role may not',
    async (who) => {
      const answers = [
        await ask('preview', who, {}),
        await ask('run-now', who, { confirm: 'things', reason: 'x' }),
      ];
      expect([answers.map((a) => a.status), await left()]).toEqual([[403, 403], 2]);
    },
  );

  it('on a preview deployment can only be a dry run', async () => {
    const settings = { ...s.settings, production: false, environment: 'preview', dryRun: true };
    const preview = { ...s, settings };
    expect((await ask('preview', 'otto', {}, preview)).status).toBe(303);
    expect((await ask('run-now', 'otto', { confirm: 'things', reason: 'x' }, preview)).status).toBe(403);
    expect(await left()).toBe(2);
  });
});
