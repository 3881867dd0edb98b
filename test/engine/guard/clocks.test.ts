import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { days, type Policy } from '@/lib/policies/contract';
import { purgeOf } from '@/lib/policies/purge';
import {
  ago,
  DAY,
  databaseClock,
  govern,
  NOW,
  runRequest,
  things,
  thingsPolicy,
} from '@/test/support/engine';
import { type Guarded, guarded, later } from '@/test/support/guarded';
import { act, OPERATORS } from '@/test/support/operators';

let e: Guarded;
beforeEach(async () => {
  e = await guarded({ LAPSE_MASS_DELETION_GUARD: 'off', LAPSE_OPERATORS: OPERATORS });
});
afterEach(() => e.stop());

/** A run on a machine whose clock is behind the database's. */
async function behind(hours: number, policy: Policy, at = NOW) {
  await databaseClock(e.db, at);
  const clock = new Date(at.getTime() - hours * 3_600_000);
  return runPolicy({ ...e.services, clock: () => clock }, policy, runRequest(clock));
}

describe('a soft delete', () => {
  const soft = { strategy: { kind: 'soft-delete' as const, column: 'gone_at', purgeAfter: days(14) } };
  async function marking(): Promise<Policy> {
    const policy = await govern(e.db, soft);
    await e.db.sql('alter table things add gone_at timestamptz; create index on things (gone_at, id)');
    return policy;
  }
  const marks = async () =>
    (await e.db.sql('select gone_at from things where gone_at is not null order by 1')).map((r) => r.gone_at);

  it('marks with the database’s clock, however far behind the runner’s is', async () => {
    const policy = await marking();
    await things(e.db, [40 * DAY]);
    expect(await behind(48, policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await marks()).toEqual([NOW]);
    const purge = purgeOf(policy)!;
    expect(await e.at(later(13.9), purge)).toMatchObject({ outcome: 'succeeded', deleted: 0 });
    expect(await e.at(later(14.1), purge)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it('of a pass begun six days ago marks with the hour it is done', async () => {
    const policy = await marking();
    await things(e.db, [40 * DAY, 41 * DAY]);
    expect(await e.at(NOW, policy, { limit: 1 })).toMatchObject({ outcome: 'interrupted', deleted: 1 });
    expect(await e.at(later(6), policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await marks()).toEqual([NOW, later(6)]);
  });
});

describe('a cooling-off is as long on a machine whose clock is behind', () => {
  it('after a downgrade', async () => {
    await govern(e.db);
    await e.db.sql(`create table orgs (id uuid primary key default gen_random_uuid(), plan text);
      create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
      create index on things (org, at, id); grant select on orgs to lapse_app`);
    await e.db.sql("insert into orgs (plan) values ('pro')");
    const policy = thingsPolicy({
      rules: [
        { label: 'free', keepFor: days(7) },
        { label: 'pro', keepFor: days(30) },
      ],
      tenants: {
        table: { name: 'orgs' },
        key: { column: 'id', type: 'uuid' },
        column: 'org',
        label: 'o.plan',
        judgedBy: [{ name: 'orgs' }],
      },
    });
    await things(e.db, [20 * DAY]);
    await e.db.sql('update things set org = (select id from orgs)');
    expect(await e.at(NOW, policy)).toMatchObject({ deleted: 0 });
    await e.db.sql("update orgs set plan = 'free'");
    expect(await behind(48, policy, later(1))).toMatchObject({ deleted: 0 });
    expect(await e.at(later(7.9), policy)).toMatchObject({ deleted: 0 });
    expect(await e.at(later(8.1), policy)).toMatchObject({ deleted: 1 });
  });

  it('after a shorter period', async () => {
    await govern(e.db);
    await things(e.db, [20 * DAY]);
    await e.at(NOW, thingsPolicy());
    const shorter = thingsPolicy({ rules: [{ label: 'all', keepFor: days(5) }] });
    await behind(72, shorter, later(1));
    expect(await e.at(later(7.9), shorter)).toMatchObject({ deleted: 0 });
    expect(await e.at(later(8.1), shorter)).toMatchObject({ deleted: 1 });
  });

  it('after an older version came back while the clock was set back', async () => {
    await govern(e.db);
    await things(e.db, [60 * DAY]);
    const keeping = (n: number) => thingsPolicy({ rules: [{ label: 'all', keepFor: days(n) }] });
    await e.at(later(10), keeping(90));
    await e.at(NOW, keeping(30));
    expect(await e.at(later(8), keeping(30))).toMatchObject({ outcome: 'succeeded', deleted: 0 });
    expect(await e.at(later(16.9), keeping(30))).toMatchObject({ deleted: 0 });
    expect(await e.at(later(17.1), keeping(30))).toMatchObject({ deleted: 1 });
  });

  it('after an extension was ended, or set anew to an earlier day', async () => {
    const policy = await govern(e.db);
    const [a, b] = await things(e.db, [40 * DAY, 41 * DAY]);
    const slow = { ...e.services, policies: [policy], clock: () => new Date(ago(3 * DAY)) };
    const extension = (action: string, key: string | undefined, until?: number) =>
      act(slow, 'alice', {
        action,
        table: 'public.things',
        key,
        reason: 'contract 7',
        ...(until === undefined ? {} : { keepUntil: later(until).toISOString() }),
      });
    for (const key of [a, b]) expect((await extension('extension.set', key, 100)).status).toBe(200);
    expect((await extension('extension.end', a)).status).toBe(200);
    expect((await extension('extension.set', b, 1)).status).toBe(200);
    expect(await e.at(later(6.9), policy)).toMatchObject({ deleted: 0, kept: { extended: 2 } });
    expect(await e.at(later(7.1), policy)).toMatchObject({ deleted: 2 });
  });
});
