/** What the owner grants, and that nothing a caller says reaches further. */
import { afterEach, describe, expect, it } from 'vitest';
import { atOnce, days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { DAY, type Engine, engine, left, NOW } from '../../support/engine';
import {
  addMonth,
  aroundDrop,
  BOUNDARY,
  EXPIRED,
  exists,
  partitioned,
  partitionOf,
  partitionReceipts,
  visits,
  visitsPolicy,
} from '../../support/partitioned';
import { follow } from '../../support/preflight';

let e: Engine;
afterEach(() => e?.stop());

const _receipts = () => partitionReceipts(e.db);
async function begin(changes: Partial<PolicyInput> = {}, files?: string): Promise<Policy> {
  e = await engine();
  return partitioned(e.db, changes, files ? { files } : {});
}

const ORG = '11111111-1111-4111-8111-111111111111';

describe('the app', () => {
  it('cannot drop what no grant names, nor reach further than the grant, nor without the fence', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 5);
    const ask = (cutoff: string) =>
      e.services.database.transaction(
        [
          {
            text: "select set_config('statement_timeout', '5s', true), set_config('lock_timeout', '1s', true)",
            params: [],
          },
          {
            text: `select * from retention.drop_partition('visits', 1, gen_random_uuid(), 1, 'x', 'public.visits', 'public.visits_2025_12',
              $1::timestamptz, now(), 'all', 100, 'because')`,
            params: [cutoff],
          },
        ],
        { timeoutMs: 10_000 },
      );
    await expect(ask(NOW.toISOString())).rejects.toMatchObject({ failure: 'fenced' });
    await e.run(policy, { deadline: NOW });
    await e.db.sql('delete from retention.partition_grant');
    await expect(ask(NOW.toISOString())).rejects.toMatchObject({ sqlState: 'LP011' });
    expect(await e.run(policy)).toMatchObject({ outcome: 'errored', reason: 'preflight' });
    await expect(
      e.services.database.transaction(
        [
          {
            text: "insert into retention.partition_grant (table_name, least_age, key_columns) values ('public.visits', '1 day', '{id}')",
            params: [],
          },
        ],
        { timeoutMs: 5_000 },
      ),
    ).rejects.toMatchObject({ sqlState: '42501' });
  });
});

describe('a call that says something else than the run', () => {
  /** What the database answers when the drop of an expired partition is asked with other words. */
  async function said(other: Parameters<Parameters<Parameters<typeof aroundDrop>[1]>[0]>[0], policy: Policy) {
    let answer: unknown;
    const run = aroundDrop(e, async (send) => {
      const rows = await send(other);
      answer = rows.at(-1)?.[0]?.obstacle;
      return rows;
    });
    const result = await run(policy);
    return { obstacle: answer, result };
  }
  const november = async () => {
    await addMonth(e.db, '2025-11');
    await visits(e.db, '2025-11', 2);
    await visits(e.db, EXPIRED, 3);
  };

  it.each([
    ['a later cutoff', '2026-02-15T00:00:00Z'],
    ['no cutoff', null],
    ['the end of time', 'infinity'],
  ])('%s drops nothing younger than the period of its own version', async (_, cutoff) => {
    const policy = await begin({ rules: [{ label: 'all', keepFor: days(85) }] });
    await november();
    const december = `"public"."${partitionOf(EXPIRED)}"`;
    const { obstacle } = await said({ part: december, cutoff }, policy);
    expect(obstacle).toBe('not_expired');
    expect(await exists(e.db, EXPIRED)).toBe(true);
    expect(await left(e.db, partitionOf(EXPIRED))).toBe(3);
  });

  it('a label no rule has, or no limit, drops nothing', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 3);
    expect((await said({ label: 'other' }, policy)).obstacle).toBe('not_expired');
    await visits(e.db, EXPIRED, 3);
    expect((await said({ most: null }, policy)).obstacle).toBe('limit');
    expect(await exists(e.db, EXPIRED)).toBe(true);
  });

  it('an instant ahead of the database does not end an extension', async () => {
    const policy = await begin();
    const [key] = await visits(e.db, EXPIRED, 3);
    await e.db.sql(
      `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ('public.visits', $1, '2099-01-01', 'asked', 'bob')`,
      [key],
    );
    const { obstacle, result } = await said({ at: 'infinity' }, policy);
    expect(obstacle).toBe('extended');
    expect(result).toMatchObject({ deleted: 2, kept: { extended: 1 } });
  });

  it('another policy drops nothing here: its fence and its pause are not this table’s', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 3);
    const run = aroundDrop(e, (send) => send({ policy: 'magic-links' }));
    const result = await run(policy);
    expect(result).toMatchObject({ outcome: 'errored', deleted: 0 });
    expect(result.message).toContain(
      'no grant to drop partitions of "public"."visits" under policy magic-links',
    );
    expect(await left(e.db, 'visits')).toBe(3);
  });
});

describe('an unfit table is refused, with what to run', () => {
  const refusal = async (policy: Policy): Promise<string> => {
    const run = await e.run(policy);
    expect(run).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 0 });
    return run.message;
  };

  it('a plain table, another partition key, a longer partition than declared', async () => {
    await begin();
    await visits(e.db, EXPIRED, 1);
    expect(await refusal(visitsPolicy({ partitioned: { by: 'week' } }))).toContain(
      'by week, a partition spans 31 days',
    );
    expect(await refusal(visitsPolicy({ table: { name: 'consents' } }))).toContain(
      'is not a partitioned table',
    );
  });

  it('a partition the app may not delete from, a grant that names other columns', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 1);
    await e.db.sql(`revoke delete on ${partitionOf(EXPIRED)} from lapse_app`);
    await e.db.sql(`revoke update on ${partitionOf(BOUNDARY)} from lapse_app`);
    const shut = await refusal(policy);
    expect(shut).toContain('rows of partitions visits_2025_12, visits_2026_01');
    expect(shut).not.toContain('DEFAULT PRIVILEGES');
    const statements = shut.match(/SELECT retention\.open_partitions\(.*?\);/g);
    expect(statements).toHaveLength(1);
    await e.db.sql(statements![0]);
    await e.db.sql('update retention.partition_grant set organization_column = null');
    const message = await refusal(policy);
    const statement = /INSERT INTO retention\.partition_grant.*?;/.exec(message)?.[0];
    await e.db.sql(statement!);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it('a grant for another policy, or for a clock written in another zone', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 1);
    await e.db.sql("update retention.partition_grant set policy = 'other'");
    expect(await refusal(policy)).toContain('policy, zone or columns differ');
    await e.db.sql('update retention.partition_grant set policy = null');
    const statement = /INSERT INTO retention\.partition_grant.*?;/.exec(await refusal(policy))![0];
    await e.db.sql(statement);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    const local = visitsPolicy({
      key: [
        { column: 'id', type: 'uuid' },
        { column: 'at', type: 'timestamp without time zone' },
      ],
      clock: { column: 'at', type: 'timestamp', zone: 'America/New_York' },
    });
    expect(await refusal(local)).toContain("'visits', 'America/New_York', '{");
  });

  it('a partition whose detaching somebody began and did not finish', async () => {
    const policy = await begin();
    await visits(e.db, EXPIRED, 1);
    await visits(e.db, BOUNDARY, 1);
    const [reader, detacher] = [await e.db.session(), await e.db.session()];
    await reader.sql('begin');
    await reader.sql('select count(*) from visits');
    const [{ pid }] = (await detacher.sql('select pg_backend_pid() as pid')) as [{ pid: number }];
    const detaching = detacher
      .sql(`alter table visits detach partition ${partitionOf(EXPIRED)} concurrently`)
      .catch(() => 'canceled');
    while ((await e.db.sql('select 1 from pg_inherits where inhdetachpending')).length === 0);
    await e.db.sql('select pg_cancel_backend($1)', [pid]);
    expect(await detaching).toBe('canceled');
    await reader.sql('commit');
    const message = await refusal(policy);
    expect(message).toContain('DETACH PARTITION visits_2025_12 FINALIZE;');
    await e.db.sql(/ALTER TABLE .*? FINALIZE;/.exec(message)![0]);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await left(e.db, partitionOf(EXPIRED))).toBe(1);
  });

  it.each([
    ['where', { where: 't.org is null' }],
    ['match', { rules: [{ label: 'a', keepFor: { seconds: DAY }, match: { org: ORG } }] }],
    ['the key', { key: [{ column: 'id', type: 'uuid' }] }],
  ])('at the start already, a policy whose %s a partition cannot keep to', (what, changes) => {
    expect(() => visitsPolicy(changes)).toThrow(what);
  });
});

it('prints a grant that can be run for rows that are kept for no time behind their expiry', async () => {
  const policy = await begin({
    clock: { column: 'at', type: 'timestamptz', ahead: true },
    rules: [{ label: 'all', keepFor: atOnce() }],
  });
  await e.db.sql('delete from retention.partition_grant');
  expect(await follow(e, policy)).toEqual([]);
  await visits(e.db, EXPIRED, 3);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 3 });
  expect(await exists(e.db, EXPIRED)).toBe(false);
});
