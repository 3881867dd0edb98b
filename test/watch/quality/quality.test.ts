import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seed } from '@/lib/example/seed';
import { qualityRoute } from '@/lib/http/quality-report';
import type { JobRequest } from '@/lib/platform/job';
import { policies } from '@/lib/policies';
import type { Policy, PolicyInput } from '@/lib/policies/contract';
import { versionOf } from '@/lib/policies/fingerprint';
import type { Services } from '@/lib/services';
import { measureQuality, type QualityResult } from '@/lib/watch/quality/job';
import { measurePolicy } from '@/lib/watch/quality/measure';
import type { Measurement } from '@/lib/watch/quality/measurement';
import { ago, DAY, type Engine, engine, govern, NOW, things, thingsPolicy } from '@/test/support/engine';
import { OPERATORS, TOKENS } from '@/test/support/operators';

let e: Engine;
beforeEach(async () => {
  e = await engine({ env: { LAPSE_OPERATORS: OPERATORS } });
});
afterEach(() => e.stop());

const measure = (policy: Policy): Promise<Measurement[]> => measurePolicy(e.services, policy, { now: NOW });
const one = (found: readonly Measurement[], measure: string, subject?: string): Measurement =>
  found.find((m) => m.measure === measure && (subject === undefined || m.subject === subject))!;
const job = (
  s: Services,
  policies: readonly Policy[],
  order: Partial<JobRequest> = {},
  at = NOW,
): Promise<QualityResult> =>
  measureQuality(
    { ...s, policies, clock: () => at },
    {
      correlationId: 'c',
      deadline: new Date(at.getTime() + 240_000),
      dryRun: false,
      trigger: 'cron',
      ...order,
    },
  );
const governed = (quality: PolicyInput['quality'], changes: Partial<PolicyInput> = {}) =>
  govern(e.db, { ...changes, quality });
/** More blocks than a sample takes, in rows as narrow as they come: 2,100 blocks of a few rows each. */
const fill = (column = 'note') =>
  e.db.sql(
    `insert into things (at, ${column}) select $1::timestamptz - make_interval(days => 1 + i % 20), repeat('x', 1900) from generate_series(1, 8400) i`,
    [NOW.toISOString()],
  );

it('opens one incident a policy and measure, reported once, and ends it when the data is fixed', async () => {
  const policy = await governed({ emptyClocks: 0 });
  await things(e.db, [DAY, null]);
  const incidents = () =>
    e.db.sql(`select cause, times, recovered_at is not null as over from retention.incident
      where cause like 'quality%' order by cause`);
  await job(e.services, [policy], { dryRun: true });
  expect(await incidents()).toEqual([]);
  await job(e.services, [policy]);
  await job(e.services, [policy]);
  expect(await incidents()).toEqual([
    { cause: 'quality.breached:things.completeness', times: 2, over: false },
  ]);
  await e.db.sql('delete from things where at is null');
  await job(e.services, [policy]);
  expect(await incidents()).toEqual([
    { cause: 'quality.breached:things.completeness', times: 2, over: true },
  ]);
});

describe('completeness', () => {
  it('reports rows without a clock, which never expire, by key and against the declared share', async () => {
    const policy = await governed({ emptyClocks: 0.2 });
    const ids = await things(e.db, [DAY, DAY, null, DAY]);
    expect(one(await measure(policy), 'completeness')).toEqual({
      policy: 'things',
      measure: 'completeness',
      subject: 'at',
      status: 'breached',
      found: 1,
      lookedAt: 4,
      share: 0.25,
      most: 0.2,
      sampled: false,
      keys: [ids[2]],
      detail: {},
    });
    await things(e.db, [DAY]);
    expect(one(await measure(policy), 'completeness')).toMatchObject({ status: 'ok', share: 0.2 });
  });

  it('counts a clock of minus infinity as none: it is before no cutoff a policy looks at', async () => {
    const policy = await governed({});
    await e.db.sql(`insert into things (at) values ('-infinity')`);
    expect(one(await measure(policy), 'completeness')).toMatchObject({ status: 'breached', found: 1 });
  });

  it('leaves alone what has no clock by design', async () => {
    const policy = await governed({ emptyClocks: null });
    await things(e.db, [null, null]);
    expect(one(await measure(policy), 'completeness')).toMatchObject({ status: 'ok', found: 2, most: null });
  });

  it('names five keys at most, and nothing else of a row', async () => {
    const policy = await governed({});
    await e.db.sql(`insert into things (note) select 'somebody@example.com' from generate_series(1, 9)`);
    const found = await measure(policy);
    expect(one(found, 'completeness').keys).toHaveLength(5);
    expect(JSON.stringify(found)).not.toContain('somebody');
  });
});

describe('timeliness', () => {
  it('reports clocks ahead of now by more than is tolerated, and forever', async () => {
    const policy = await governed({ aheadSeconds: 300 });
    await things(e.db, [-299, -300, 0, DAY]);
    expect(one(await measure(policy), 'timeliness')).toMatchObject({ status: 'breached', found: 1 });
    const [late] = await things(e.db, [-301]);
    await e.db.sql(`insert into things (at) values ('infinity')`);
    expect(one(await measure(policy), 'timeliness')).toMatchObject({
      found: 3,
      keys: expect.arrayContaining([late]),
    });
  });

  it('judges a clock without a zone in the zone its application writes', async () => {
    await e.db.sql('create table things (id uuid primary key default gen_random_uuid(), at timestamp)');
    await e.db.sql('grant select on things to lapse_app');
    await e.db.sql(`insert into things (at) values ($1)`, ['2026-03-01 03:00:00']);
    const clock = (zone: string) =>
      thingsPolicy({ clock: { column: 'at', type: 'timestamp', zone }, scope: {} });
    // NOW is 02:00 UTC: three o'clock is now in Berlin, and an hour ahead in UTC.
    expect(one(await measure(clock('Europe/Berlin')), 'timeliness').found).toBe(0);
    expect(one(await measure(clock('UTC')), 'timeliness').found).toBe(1);
  });
});

describe('references', () => {
  const reference = { columns: ['org'], table: { name: 'orgs' }, key: ['id'] };
  beforeEach(() => e.db.sql('create table orgs (id uuid primary key); grant select on orgs to lapse_app'));

  it('finds references that lead nowhere where no foreign key guards them', async () => {
    const policy = await governed({ references: [reference] });
    const [lost] = await things(e.db, [DAY, DAY, DAY]);
    await e.db.sql(`insert into orgs values (gen_random_uuid())`);
    await e.db.sql(`update things set org = (select id from orgs) where id <> $1`, [lost]);
    await e.db.sql(`update things set org = gen_random_uuid() where id = $1`, [lost]);
    expect(one(await measure(policy), 'reference')).toMatchObject({
      subject: 'public.things (org)',
      status: 'breached',
      found: 1,
      lookedAt: 3,
      keys: [lost],
    });
  });

  it('that cannot be measured do not end their incident', async () => {
    const policy = await governed({ references: [reference] });
    await things(e.db, [DAY]);
    await e.db.sql(`update things set org = gen_random_uuid()`);
    const cause = 'quality.breached:things.reference';
    const open = () =>
      e.db.sql(`select cause from retention.incident where recovered_at is null and cause like 'quality%'`);
    await job(e.services, [policy]);
    expect(await open()).toEqual([{ cause }]);
    await e.db.sql('revoke select on orgs from lapse_app');
    expect((await job(e.services, [policy])).findings).toMatchObject([
      { measure: 'reference', status: 'unknown' },
    ]);
    expect(await open()).toEqual([{ cause }]);
  });

  it('an empty reference leads nowhere on purpose', async () => {
    const policy = await governed({ references: [reference] });
    await things(e.db, [DAY, DAY]);
    expect(one(await measure(policy), 'reference')).toMatchObject({ status: 'ok', found: 0, lookedAt: 0 });
  });

  it('measures nothing a validated foreign key makes impossible, but does behind one that is NOT VALID', async () => {
    const policy = await governed({ references: [reference] });
    await things(e.db, [DAY]);
    await e.db.sql('update things set org = gen_random_uuid()');
    await e.db.sql('alter table things add constraint f foreign key (org) references orgs (id) not valid');
    expect(one(await measure(policy), 'reference')).toMatchObject({ status: 'breached', found: 1 });
    await e.db.sql('update things set org = null');
    await e.db.sql('alter table things validate constraint f');
    expect(one(await measure(policy), 'reference')).toMatchObject({
      status: 'guarded',
      found: null,
      detail: { by: 'foreign key' },
    });
  });

  it('looks at the rows of each dependant, named by their own key', async () => {
    const policy = await governed(
      {},
      {
        dependants: [
          {
            table: { name: 'notes' },
            key: [{ column: 'n', type: 'int' }],
            references: ['thing'],
            fate: 'delete',
          },
        ],
      },
    );
    await e.db.sql('create table notes (n int primary key, thing uuid); grant select on notes to lapse_app');
    await e.db.sql('insert into notes values (7, gen_random_uuid())');
    expect(one(await measure(policy), 'reference')).toMatchObject({
      subject: 'public.notes (thing)',
      status: 'breached',
      keys: ['7'],
    });
  });
});

describe('uniqueness', () => {
  it('finds what occurs twice where no unique index forbids it, by index and without one', async () => {
    const policy = await governed({ unique: [['note']] });
    const ids = await things(e.db, [DAY, DAY, DAY]);
    await e.db.sql(`update things set note = case when id = $1 then 'b' else 'a' end`, [ids[0]]);
    const breached = { status: 'breached', found: 2, lookedAt: 3 };
    expect(one(await measure(policy), 'uniqueness', 'public.things (note)')).toMatchObject(breached);
    await e.db.sql('create index on things (note)');
    const found = one(await measure(policy), 'uniqueness', 'public.things (note)');
    expect(found).toMatchObject(breached);
    expect([...found.keys].sort()).toEqual(ids.slice(1).sort());
    expect(one(await measure(policy), 'uniqueness', 'public.things (id)').status).toBe('guarded');
  });

  it('an empty value is no value: it occurs as often as it likes', async () => {
    const policy = await governed({ unique: [['note']] });
    await things(e.db, [DAY, DAY]);
    expect(one(await measure(policy), 'uniqueness', 'public.things (note)')).toMatchObject({
      found: 0,
      lookedAt: 0,
    });
  });
});

describe('a table larger than its sample', () => {
  it('is counted by its index where the clock leads one, and says it is a sample where none does', async () => {
    const policy = await governed({ emptyClocks: 0, unique: [['note', 'person']] });
    await fill();
    const [lone] = await things(e.db, [null]);
    await things(e.db, [-3600, 400 * DAY]);
    await e.db.sql('analyze things');
    const exact = await measure(policy);
    expect(one(exact, 'completeness')).toMatchObject({
      found: 1,
      sampled: false,
      lookedAt: 8403,
      keys: [lone],
    });
    expect(one(exact, 'timeliness')).toMatchObject({ found: 1, sampled: false });
    expect(one(exact, 'profile').detail).toMatchObject({
      rows: 8403,
      oldest: expect.stringContaining(ago(400 * DAY).slice(0, 10)),
      newest: expect.stringContaining('2026-03-01 03:00'),
    });
    expect(one(exact, 'uniqueness', 'public.things (note, person)')).toMatchObject({
      sampled: true,
      detail: { remedy: expect.stringContaining('CREATE INDEX CONCURRENTLY') },
    });

    await e.db.sql('drop index things_at_id_idx');
    const sample = one(await measure(policy), 'completeness');
    expect(sample.sampled).toBe(true);
    expect(sample.lookedAt).toBeGreaterThan(4_000);
    expect(sample.lookedAt).toBeLessThan(8_400);
  });
});

it('measures every policy that ships, partitions with their parent, and finds what the seed holds of each kind', async () => {
  await seed(e.db.ownerUrl, { rows: 400, asOf: NOW });
  const { statuses, findings, policies: measured } = await job(e.services, policies);
  expect(measured).toBe(policies.length);
  expect(statuses.unknown).toBe(0);
  // Its edges: completed in a day, and at the end of time.
  expect(findings.map((m) => [m.policy, m.measure, m.found])).toEqual([['quiz-responses', 'timeliness', 2]]);
  for (const { name, table } of policies) {
    const [stored] = await e.db.sql(
      `select (detail->>'rows')::int as rows from retention.quality where policy = $1 and measure = 'profile'`,
      [name],
    );
    const [real] = await e.db.sql(`select count(*)::int as rows from ${table.schema}.${table.name}`);
    expect([name, stored?.rows]).toEqual([name, real?.rows]);
  }
});

it('what is measured decides about no row: another threshold is no other version of the policy', () => {
  expect(versionOf(thingsPolicy({ quality: { emptyClocks: 0.5, unique: [['note']] } }))).toBe(
    versionOf(thingsPolicy()),
  );
});

describe('the job', () => {
  it('keeps a measurement a day and subject, replaces that of the same day, and forgets after half a year', async () => {
    const policy = await governed({});
    await things(e.db, [null]);
    expect(await job(e.services, [policy])).toMatchObject({
      outcome: 'succeeded',
      policies: 1,
      statuses: { ok: 2, breached: 1, guarded: 1, unknown: 0 },
      findings: [{ measure: 'completeness', status: 'breached' }],
    });
    await e.db.sql('delete from things');
    await job(e.services, [policy]);
    const rows = () =>
      e.db.sql(
        `select day::text, status, found from retention.quality where measure = 'completeness' order by day`,
      );
    expect(await rows()).toEqual([{ day: '2026-03-01', status: 'ok', found: 0 }]);
    const later = (days: number) => new Date(NOW.getTime() + days * DAY * 1000);
    await job(e.services, [policy], {}, later(190));
    expect((await rows()).map((r) => r.day)).toEqual(['2026-03-01', '2026-09-07']);
    await job(e.services, [policy], {}, later(191));
    expect((await rows()).map((r) => r.day)).toEqual(['2026-09-07', '2026-09-08']);
  });

  it('measures in transactions that cannot write, and in a dry run keeps no record', async () => {
    const policy = await governed({});
    const writing: boolean[] = [];
    const database: Services['database'] = {
      transaction: (statements, options) => {
        writing.push(!options.readOnly);
        return e.services.database.transaction(statements, options);
      },
    };
    await job({ ...e.services, database }, [policy], { dryRun: true });
    expect(writing.some(Boolean)).toBe(false);
    expect(await e.db.sql('select 1 from retention.quality')).toEqual([]);
  });

  it('a measurement that is not possible says what to do and spoils no other', async () => {
    const gone = { columns: ['org'], table: { name: 'nowhere' }, key: ['id'] };
    const policy = await governed({ references: [gone] });
    const missing = { ...policy, name: 'missing', table: { schema: 'public', name: 'missing' } };
    const result = await job(e.services, [missing, policy]);
    expect(result.outcome).toBe('succeeded');
    const findings = result.findings.filter((m) => m.status === 'unknown');
    expect(findings.map((m) => [m.policy, m.measure])).toEqual([
      ['missing', 'profile'],
      ['missing', 'reference'],
      ['missing', 'uniqueness'],
      ['things', 'reference'],
    ]);
    expect(findings[3]?.detail).toEqual({
      why: 'table "public"."nowhere" does not exist',
      remedy: expect.stringContaining('GRANT SELECT'),
    });
  });

  it('continues next time with what was measured longest ago when time runs out', async () => {
    const policy = await governed({});
    const other = { ...policy, name: 'others' };
    const short = { deadline: new Date(NOW.getTime() + 60_000) };
    // Each policy takes 20 of the 60 seconds; 45 are kept back.
    let asked = 0;
    const s = {
      ...e.services,
      policies: [policy, other],
      clock: () => new Date(NOW.getTime() + 10_000 * asked++),
    };
    const order = { correlationId: 'c', dryRun: false, trigger: 'cron' as const, ...short };
    expect(await measureQuality(s, order)).toMatchObject({
      outcome: 'interrupted',
      reason: 'time',
      policies: 1,
    });
    asked = 0;
    await measureQuality(s, order);
    const measured = await e.db.sql('select distinct policy from retention.quality order by 1');
    expect(measured.map((r) => r.policy)).toEqual(['others', 'things']);
  });
});

describe('the report', () => {
  const get = async (query = '', token: string = TOKENS.alice) => {
    const s = { ...e.services, policies: [await policyOnce] };
    return qualityRoute(() => s)(
      new Request(`http://localhost/api/reports/quality${query}`, {
        headers: { authorization: `Bearer ${token}` },
      }),
    );
  };
  let policyOnce: Promise<Policy>;
  beforeEach(async () => {
    policyOnce = governed({});
    await policyOnce;
    await things(e.db, [null, DAY]);
    await job(e.services, [await policyOnce]);
    await job(e.services, [await policyOnce], {}, new Date(NOW.getTime() + DAY * 1000));
  });

  it('shows operators the latest measurements, or those of a period, as JSON or CSV', async () => {
    const latest = (await (await get()).json()) as { measurements: Measurement[] };
    expect(latest.measurements).toHaveLength(4);
    expect(one(latest.measurements, 'completeness')).toMatchObject({
      day: '2026-03-02',
      status: 'breached',
      found: 1,
      lookedAt: 2,
    });
    const period = (await (await get('?from=2026-03-01&to=2026-03-02')).json()) as {
      measurements: { day: string }[];
    };
    expect(new Set(period.measurements.map((m) => m.day))).toEqual(new Set(['2026-03-01']));
    const csv = await (await get('?format=csv')).text();
    expect(csv.split('\r\n')[0]).toBe('day,policy,measure,subject,status,found,lookedAt,share,most,sampled');
    expect(csv).toContain('2026-03-02,things,completeness,at,breached,1,2,0.5,0,false');
  });

  it('refuses unknown callers, and names a parameter that is wrong', async () => {
    expect((await get('', 'a-secret-of-the-tests')).status).toBe(401);
    for (const [query, field] of [
      ['?days=1', 'days'],
      ['?format=xml', 'format'],
      ['?from=2026-03-01', 'to'],
    ] as const) {
      const answer = await get(query);
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({ error: { field } });
    }
  });
});
