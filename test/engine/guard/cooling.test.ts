import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { days, forever, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { ago, DAY, databaseClock, govern, NOW, things, thingsPolicy } from '@/test/support/engine';
import { dice, type Guarded, guarded, later } from '@/test/support/guarded';

let e: Guarded;
beforeEach(async () => {
  e = await guarded({ LAPSE_MASS_DELETION_GUARD: 'off' });
});
afterEach(() => e.stop());

const keeping = (n: number, more: Partial<PolicyInput> = {}) =>
  thingsPolicy({ rules: [{ label: 'all', keepFor: days(n) }], ...more });

/** Tier of an organization decides: free 7, pro 30 days, enterprise forever. */
const TIERS: Partial<PolicyInput> = {
  rules: [
    { label: 'free', keepFor: days(7) },
    { label: 'pro', keepFor: days(30) },
    { label: 'enterprise', keepFor: forever() },
  ],
  tenants: {
    table: { name: 'orgs' },
    key: { column: 'id', type: 'uuid' },
    column: 'org',
    label: 'o.plan',
    judgedBy: [{ name: 'orgs' }],
  },
};
const ORG = '00000000-0000-4000-8000-000000000001';
async function tiers(plan: string): Promise<Policy> {
  await govern(e.db);
  await e.db.sql(`create table orgs (id uuid primary key, plan text);
    create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
    create index on things (org, at, id); grant select on orgs to lapse_app`);
  await e.db.sql('insert into orgs values ($1::uuid, $2)', [ORG, plan]);
  return thingsPolicy(TIERS);
}
async function ages(...list: number[]): Promise<void> {
  await things(
    e.db,
    list.map((d) => d * DAY),
  );
  await e.db.sql('update things set org = $1::uuid', [ORG]);
}
const plan = (name: string) => e.db.sql('update orgs set plan = $1', [name]);

it('a mask of one column more waits the cooling-off as a whole', async () => {
  await govern(e.db);
  await e.db.sql('alter table things add name text, add country text, add masked_at timestamptz');
  const masking = (...columns: string[]) =>
    keeping(30, {
      strategy: {
        kind: 'mask',
        mark: 'masked_at',
        columns: columns.map((column) => ({ column, to: null })),
      },
    });
  await things(e.db, [40 * DAY]);
  expect(await e.at(NOW, masking('name'))).toMatchObject({ deleted: 1 });
  await things(e.db, [40 * DAY]);
  expect(await e.at(later(1), masking('name', 'country'))).toMatchObject({
    outcome: 'skipped',
    reason: 'cooling',
  });
  expect(await e.at(later(8.1), masking('name', 'country'))).toMatchObject({ deleted: 1 });
});

describe('a change of the period', () => {
  it('that shortens waits the cooling-off, and only then counts', async () => {
    await govern(e.db);
    await things(
      e.db,
      [40, 20, 10].map((d) => d * DAY),
    );
    expect(await e.at(NOW, keeping(30))).toMatchObject({ deleted: 1 });
    expect(await e.at(later(1), keeping(5))).toMatchObject({ outcome: 'succeeded', deleted: 0 });
    expect(await e.at(later(7.9), keeping(5))).toMatchObject({ deleted: 0 });
    expect(await e.at(later(8.1), keeping(5))).toMatchObject({ deleted: 2 });
  });

  it('that lengthens counts at once', async () => {
    await govern(e.db);
    await things(e.db, [40 * DAY]);
    expect(await e.at(NOW, keeping(50))).toMatchObject({ deleted: 0 });
    expect(await e.at(later(0.1), keeping(60))).toMatchObject({ deleted: 0 });
    expect(await e.at(later(12), keeping(60))).toMatchObject({ deleted: 0 });
    expect(await e.at(later(20.5), keeping(60))).toMatchObject({ deleted: 1 });
  });

  it('from "forever" to a period waits as well', async () => {
    await govern(e.db);
    await things(e.db, [4000 * DAY]);
    await e.at(NOW, thingsPolicy({ rules: [{ label: 'all', keepFor: days(5000) }] }));
    await e.at(later(1), thingsPolicy({ rules: [{ label: 'all', keepFor: forever() }] }));
    expect(await e.at(later(2), keeping(30))).toMatchObject({ deleted: 0 });
    expect(await e.at(later(9.1), keeping(30))).toMatchObject({ deleted: 1 });
  });

  it('keeps who declared which version, and when', async () => {
    await govern(e.db);
    await things(e.db, [DAY]);
    await e.at(NOW, keeping(30), { actor: 'cron' });
    await e.at(later(1), keeping(5), { actor: 'cron' });
    const versions = await e.db.sql(
      'select periods, declared_by, declared_at, superseded_at from retention.policy_version order by declared_at',
    );
    expect(versions).toEqual([
      {
        periods: { all: 30 * DAY },
        declared_by: 'cron (unreleased)',
        declared_at: NOW,
        superseded_at: later(1),
      },
      {
        periods: { all: 5 * DAY },
        declared_by: 'cron (unreleased)',
        declared_at: later(1),
        superseded_at: null,
      },
    ]);
  });

  it('is previewed with the period that counts', async () => {
    await govern(e.db);
    await things(
      e.db,
      [40, 20].map((d) => d * DAY),
    );
    await e.at(NOW, keeping(30));
    const dry = await e.at(later(1), keeping(5), { dryRun: true });
    expect(dry.preview).toMatchObject({ complete: true, expired: 0 });
  });
});

describe('a version that reaches other rows', () => {
  it('waits as a whole, says until when, and shows no digest to approve', async () => {
    await govern(e.db);
    await things(e.db, [10 * DAY]);
    await e.at(NOW, keeping(30, { where: 't.note is not null' }));
    await e.db.sql("update things set at = at - interval '90 days'");
    const result = await e.at(later(1), keeping(30));
    expect(result).toMatchObject({ outcome: 'skipped', reason: 'cooling', deleted: 0 });
    expect(result.message).toContain(later(8).toISOString());
    const dry = await e.at(later(2), keeping(30), { dryRun: true });
    expect(dry).toMatchObject({
      outcome: 'skipped',
      reason: 'cooling',
      preview: { complete: true, approvable: null },
    });
    expect(dry.preview?.blockers).toEqual([
      {
        problem: 'this version reaches other rows than the one before',
        remedy: `it waits out the cooling-off until ${later(8).toISOString()}`,
      },
    ]);
    expect(await e.at(later(8.1), keeping(30))).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });
});

describe('a version that was never in force', () => {
  it('because preflight refused it, waits for nothing once it is corrected, and then deletes at once', async () => {
    await govern(e.db);
    await things(e.db, [40 * DAY]);
    const wrong = keeping(30, { where: 't.note is null', key: [{ column: 'person', type: 'uuid' }] });
    expect(await e.at(NOW, wrong)).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 0 });
    expect(await e.at(later(0.1), keeping(30))).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it('also when nothing was due', async () => {
    await govern(e.db);
    const wrong = keeping(30, { where: 't.note is null', key: [{ column: 'person', type: 'uuid' }] });
    expect(await e.at(NOW, wrong)).toMatchObject({ outcome: 'errored', reason: 'preflight' });
    expect(await e.db.sql('select outcome, reason from retention.run')).toEqual([
      { outcome: 'errored', reason: 'preflight' },
    ]);
    await things(e.db, [40 * DAY]);
    expect(await e.at(later(0.1), keeping(30))).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it('does not stand in for the one before it, which was and still cools', async () => {
    await govern(e.db);
    await things(e.db, [40 * DAY, 20 * DAY]);
    const before = keeping(30, { where: 't.note is null' });
    expect(await e.at(NOW, before)).toMatchObject({ deleted: 1 });
    const wrong = keeping(30, { key: [{ column: 'person', type: 'uuid' }] });
    expect(await e.at(later(1), wrong)).toMatchObject({ outcome: 'errored', reason: 'preflight' });
    const right = keeping(5);
    expect(await e.at(later(1.1), right)).toMatchObject({ outcome: 'skipped', reason: 'cooling' });
    expect(await e.at(later(7.9), right)).toMatchObject({ outcome: 'skipped', reason: 'cooling' });
    expect(await e.at(later(8.1), right)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it('is not one that only found nothing due: it kept what the next may delete', async () => {
    await govern(e.db);
    await things(e.db, [20 * DAY]);
    expect(await e.at(NOW, keeping(30))).toMatchObject({ outcome: 'succeeded', deleted: 0 });
    expect(await e.at(later(1), keeping(5))).toMatchObject({ outcome: 'succeeded', deleted: 0 });
    expect(await e.at(later(8.1), keeping(5))).toMatchObject({ deleted: 1 });
  });
});

describe('an organization’s tier', () => {
  it('that goes down counts only after the cooling-off, from when it was seen', async () => {
    const policy = await tiers('pro');
    await ages(40, 20, 3);
    expect(await e.at(NOW, policy)).toMatchObject({ deleted: 1 });
    await plan('free');
    expect(await e.at(later(1), policy)).toMatchObject({ deleted: 0 });
    expect(await e.at(later(7.9), policy)).toMatchObject({ deleted: 0 });
    expect(await e.at(later(8.1), policy)).toMatchObject({ deleted: 2 });
  });

  it('that goes up counts at once', async () => {
    const policy = await tiers('free');
    await ages(20);
    await plan('enterprise');
    expect(await e.at(NOW, policy)).toMatchObject({ deleted: 0 });
  });

  it('of which nobody knew the rule keeps its rows for the cooling-off after it has one', async () => {
    const policy = await tiers('gold');
    await ages(400, 8);
    expect(await e.at(NOW, policy)).toMatchObject({ deleted: 0 });
    await e.db.sql(`insert into orgs values (gen_random_uuid(), 'free')`);
    await e.db.sql('insert into things (at, org) select $1::timestamptz, id from orgs where plan = $2', [
      ago(9 * DAY),
      'free',
    ]);
    expect(await e.at(later(0.1), policy)).toMatchObject({ deleted: 1, kept: { unknown_rule: 1 } });
    await plan('free');
    expect(await e.at(later(1), policy)).toMatchObject({ deleted: 0 });
    expect(await e.at(later(8.2), policy)).toMatchObject({ deleted: 2 });
  });
});

describe('an organization’s own period', () => {
  const set = (keepDays: number | null, policy: Policy, at: Date) =>
    e.db.sql(
      `insert into retention.period_override (policy, tenant, keep_seconds, reason, set_by, created_at) values ($1, $2, $3, 'contract', 'alice', $4)
       on conflict (policy, tenant) do update set keep_seconds = excluded.keep_seconds`,
      [policy.name, ORG, keepDays === null ? null : keepDays * DAY, at.toISOString()],
    );

  it('that is removed counts until the cooling-off is over', async () => {
    const policy = await tiers('free');
    await ages(100);
    await set(365, policy, later(-30));
    expect(await e.at(NOW, policy)).toMatchObject({ deleted: 0 });
    await databaseClock(e.db, later(1));
    await e.db.sql('delete from retention.period_override');
    expect(await e.at(later(7.9), policy)).toMatchObject({ deleted: 0 });
    expect(await e.at(later(8.1), policy)).toMatchObject({ deleted: 1 });
  });

  it('that is shortened again counts as it was until the cooling-off is over', async () => {
    const policy = await tiers('free');
    await ages(50);
    await set(365, policy, later(-30));
    expect(await e.at(NOW, policy)).toMatchObject({ deleted: 0 });
    await databaseClock(e.db, later(1));
    await set(3, policy, later(-30));
    expect(await e.at(later(7.9), policy)).toMatchObject({ deleted: 0 });
    expect(await e.at(later(8.1), policy)).toMatchObject({ deleted: 1 });
  });

  it('that is shorter than the tier waits; longer counts at once', async () => {
    const policy = await tiers('pro');
    await ages(20);
    await set(3, policy, later(1));
    expect(await e.at(later(2), policy)).toMatchObject({ deleted: 0 });
    await databaseClock(e.db, later(3));
    await set(100, policy, later(1));
    expect(await e.at(later(11), policy)).toMatchObject({ deleted: 0 });
    expect(await e.at(later(81), policy)).toMatchObject({ deleted: 1 });
  });
});

const longestOf = (list: readonly (number | null)[]): number =>
  list.some((d) => d === null) ? Number.POSITIVE_INFINITY : Math.max(...(list as number[]));

it('nothing becomes deletable sooner than under every rule of the last seven days', async () => {
  const base = await tiers('pro');
  let early = 0;
  let gone = 0;
  for (let round = 0; round < 12; round += 1) {
    const roll = dice(round + 1);
    const state = { plan: ['free', 'pro', 'enterprise', 'odd'][roll(4)]!, free: 7, pro: 30 };
    const keeps = (s: typeof state, label: string): number | null =>
      label === 'free' || label === 'pro' ? s[label] : null;
    const history: (typeof state & { from: number })[] = [];
    await e.db.sql('delete from things');
    await ages(...Array.from({ length: 160 }, (_, i) => i * 0.59 + 0.3));
    const rows = async () =>
      (await e.db.sql('select extract(epoch from at) as s from things order by at')).map((r) => Number(r.s));
    let before = await rows();
    let t = 0;
    for (let step = 0; step < 9; step += 1) {
      await plan(state.plan);
      history.push({ ...state, from: t });
      const policy: Policy = {
        ...base,
        name: `things-${round}`,
        rules: base.rules.map((r) => {
          const d = keeps(state, r.label);
          return { ...r, keepFor: { seconds: d === null ? null : d * DAY } };
        }),
      };
      expect((await e.at(later(t), policy)).outcome).toBe('succeeded');
      const there = await rows();
      const now = later(t).getTime() / 1000;
      const inForce = history.filter((_, i) => (history[i + 1]?.from ?? Number.POSITIVE_INFINITY) > t - 7);
      // Safe: what went was past the longest of all rules in force at any moment of the last seven days.
      const longest = longestOf(inForce.map((h) => keeps(h, h.plan)));
      const went = before.filter((at) => !there.includes(at));
      expect(went.filter((at) => now - at <= longest * DAY)).toEqual([]);
      // Live: what is past every tier's longest period of that time went.
      const outer = longestOf(inForce.flatMap((h) => inForce.map((g) => keeps(g, h.plan))));
      expect(there.filter((at) => now - at > outer * DAY)).toEqual([]);
      const today = keeps(state, state.plan) ?? Number.POSITIVE_INFINITY;
      early += there.filter((at) => now - at > today * DAY).length;
      gone += went.length;
      before = there;
      t += 0.5 + roll(50) / 10;
      if (roll(2) === 0) state.plan = ['free', 'pro', 'enterprise', 'odd'][roll(4)]!;
      else state[(['free', 'pro'] as const)[roll(2)]!] = 2 + roll(40);
    }
  }
  // Both sides were met: rows went, and rows past today's rule were kept by an earlier one.
  expect(gone).toBeGreaterThan(50);
  expect(early).toBeGreaterThan(50);
  // A hundred runs.
}, 120_000);
