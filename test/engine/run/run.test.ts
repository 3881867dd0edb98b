import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { acquire, release, save } from '@/lib/engine/run/checkpoint';
import { runPolicy } from '@/lib/engine/run/run';
import { days } from '@/lib/policies/contract';
import { versionOf } from '@/lib/policies/fingerprint';
import {
  ago,
  DAY,
  type Engine,
  engine,
  govern,
  left,
  NOW,
  protect,
  receipted,
  runRequest,
  things,
  thingsPolicy,
} from '../../support/engine';

let e: Engine;
afterEach(() => e?.stop());

describe('what goes and what stays', () => {
  it('deletes what is past the cutoff and keeps what is not, to the microsecond', async () => {
    e = await engine();
    const policy = await govern(e.db);
    const [hour, minute] = await things(e.db, [30 * DAY + 3600, 30 * DAY + 60]);
    await things(e.db, [30 * DAY, 30 * DAY - 60, 30 * DAY - 3600, 0]);
    const [justPast] = (
      await e.db.sql(
        `insert into things (at) values ($1::timestamptz - interval '1 microsecond'), ($1::timestamptz) returning id::text`,
        [ago(30 * DAY)],
      )
    ).map((r) => String(r.id));
    const result = await e.run(policy);
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 3, batches: 1 });
    expect([...(await receipted(e.db)).keys()].sort()).toEqual([hour, minute, justPast].sort());
    expect(await left(e.db)).toBe(5);
  });

  it('never deletes a row whose clock is NULL, infinite or in the future', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(e.db, [null, -DAY, 40 * DAY]);
    await e.db.sql(`insert into things (at) values ('infinity'), ('-infinity')`);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await left(e.db)).toBe(4);
  });

  it('keeps what is held by organization, user or item, or extended, and counts it', async () => {
    e = await engine();
    const policy = await govern(e.db);
    const [org, person] = [randomUUID(), randomUUID()];
    const ids = await things(
      e.db,
      [40, 41, 42, 43, 44].map((d) => d * DAY),
    );
    await e.db.sql('update things set org = $1 where id = $2', [org, ids[0]]);
    await e.db.sql('update things set person = $1 where id = $2', [person, ids[1]]);
    await e.db.sql(
      `insert into retention.hold (scope, subject, table_name, reason, placed_by) values
       ('organization', $1, null, 'm', 'a'), ('user', $2, null, 'm', 'a'), ('item', $3, 'public.things', 'm', 'a')`,
      [org, person, ids[2]],
    );
    await e.db.sql(
      `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by)
       values ('public.things', $1, $2, 'm', 'a')`,
      [ids[3], ago(-DAY)],
    );
    const result = await e.run(policy);
    expect(result).toMatchObject({
      outcome: 'succeeded',
      deleted: 1,
      kept: { held: 3, extended: 1, busy: 0 },
    });
    expect([...(await receipted(e.db)).keys()]).toEqual([ids[4]]);
  });

  it('deletes an extended row once its extension is over', async () => {
    e = await engine();
    const policy = await govern(e.db);
    const [id] = await things(e.db, [40 * DAY]);
    await e.db.sql(
      `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by)
       values ('public.things', $1, $2, 'm', 'a')`,
      [id, ago(1)],
    );
    expect(await e.run(policy)).toMatchObject({ deleted: 1 });
  });

  it('says so when there is nothing to do, for one request to PostgreSQL and three commands to Redis', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(e.db, [DAY]);
    // The first run of a version has to hear first whether preflight lets it.
    const first = await e.run(policy);
    expect(first).toMatchObject({ outcome: 'succeeded', deleted: 0, requests: { postgres: 2, redis: 3 } });
    const result = await e.run(policy);
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 0, requests: { postgres: 1, redis: 3 } });
    const runs = await e.db.sql('select outcome from retention.run');
    expect(runs).toEqual([{ outcome: 'succeeded' }, { outcome: 'succeeded' }]);
  });
});

describe('bounded, resumed, repeated', () => {
  const fill = async () => {
    e = await engine();
    const policy = await govern(e.db);
    const ids = await things(
      e.db,
      Array.from({ length: 25 }, (_, i) => (31 + (i % 7)) * DAY + i),
    );
    await things(e.db, [DAY, 2 * DAY]);
    return { policy, ids };
  };

  it('takes two rows at a time when told to, and all of them in the end', async () => {
    const { policy, ids } = await fill();
    const result = await e.run(policy, { batchSize: 2 });
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 25, batches: 13 });
    const named = await receipted(e.db);
    expect([...named.keys()].sort()).toEqual([...ids].sort());
    expect([...named.values()].every((n) => n === 1)).toBe(true);
  });

  it('changes nothing when run again', async () => {
    const { policy } = await fill();
    await e.run(policy);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0 });
    expect(await left(e.db)).toBe(2);
  });

  it('stops at its limit, and the next run resumes from the saved cursor', async () => {
    const { policy } = await fill();
    const first = await e.run(policy, { batchSize: 4, limit: 10 });
    expect(first).toMatchObject({ outcome: 'interrupted', reason: 'limit', deleted: 10 });
    const saved = await acquire(e.services.redis, policy.name, 'a-look');
    expect(saved).toMatchObject({ held: true, cursor: { processed: 10, leg: 0 } });
    await e.services.redis.eval(
      "return redis.call('del', KEYS[1])",
      [`${e.services.redis.prefix}things:lease`],
      [],
    );
    const second = await e.run(policy, { batchSize: 4 });
    expect(second).toMatchObject({ outcome: 'succeeded', deleted: 15, picked: 15 });
    expect(await left(e.db)).toBe(2);
  });

  it('stops in time and says so', async () => {
    const { policy } = await fill();
    const result = await e.run(policy, { deadline: NOW });
    expect(result).toMatchObject({ outcome: 'interrupted', reason: 'time', deleted: 0 });
    expect(await left(e.db)).toBe(27);
  });

  it('begins no batch that may take longer than there is time', async () => {
    const { policy } = await fill();
    let reading = 0;
    // By this clock each batch takes hours.
    const measured = vi.spyOn(performance, 'now').mockImplementation(() => {
      reading += 3_600_000;
      return reading;
    });
    const result = await e.run(policy, { batchSize: 2 });
    measured.mockRestore();
    expect(result).toMatchObject({ outcome: 'interrupted', reason: 'time', deleted: 2, batches: 1 });
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 23 });
  });

  it.each([1_000, 999, 501])('gets something done even with a budget of %i ms', async (budget) => {
    const { policy } = await fill();
    const result = await e.run(policy, { deadline: new Date(NOW.getTime() + budget) });
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 25 });
  });

  it('finishes a pass whose cursor Redis has lost', async () => {
    const { policy } = await fill();
    await e.run(policy, { batchSize: 4, limit: 8 });
    await e.services.redis.eval(
      "return redis.call('del', KEYS[1])",
      [`${e.services.redis.prefix}things:cursor`],
      [],
    );
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 17 });
  });

  it('starts again when the policy changed under a saved cursor', async () => {
    const { policy } = await fill();
    await e.run(policy, { batchSize: 4, limit: 8 });
    const shorter = thingsPolicy({ rules: [{ label: 'all', keepFor: days(2) }] });
    const later = new Date(NOW.getTime() + 3_600_000);
    await protect(e.db, shorter);
    const result = await runPolicy({ ...e.services, clock: () => later }, shorter, runRequest(later));
    expect(result.outcome).toBe('succeeded');
    expect(await left(e.db)).toBe(1);
    // A pass of its own, from its own instant: not the rest of the other's.
    const instants = await e.db.sql('select distinct as_of from retention.receipt where run = $1', [
      result.runId,
    ]);
    expect(instants).toEqual([{ as_of: later }]);
  });

  it('does not resume a cursor that a clock running ahead has left: its cutoff is yet to come', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY, 10 * DAY]);
    const runId = randomUUID();
    await acquire(e.services.redis, policy.name, runId);
    await save(e.services.redis, policy.name, runId, {
      pass: randomUUID(),
      asOf: new Date(NOW.getTime() + 25 * DAY * 1000).toISOString(),
      version: versionOf(policy),
      leg: 0,
      position: null,
      runId,
      processed: 0,
      total: 2,
      updatedAt: NOW.toISOString(),
      kept: {},
    });
    await release(e.services.redis, policy.name, runId, false);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await left(e.db)).toBe(1);
  });

  it('finishes yesterday’s pass and then today’s', async () => {
    const { policy } = await fill();
    await e.run(policy, { batchSize: 4, limit: 8 });
    const tomorrow = new Date(NOW.getTime() + 29.5 * DAY * 1000);
    const services = { ...e.services, clock: () => tomorrow };
    const result = await runPolicy(services, policy, runRequest(tomorrow));
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 19 });
    expect(await left(e.db)).toBe(0);
  });
});

describe('one runner at a time', () => {
  it('answers skipped while the lease is held elsewhere, and says by whom', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY]);
    await acquire(e.services.redis, policy.name, 'somebody');
    const result = await e.run(policy);
    expect(result).toMatchObject({
      outcome: 'skipped',
      reason: 'locked',
      runId: null,
      heldBy: { holder: 'somebody' },
    });
    expect(await left(e.db)).toBe(1);
  });

  it('lets one of two simultaneous runs work and skips the other', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(
      e.db,
      Array.from({ length: 50 }, () => 40 * DAY),
    );
    const results = await Promise.all([e.run(policy, { batchSize: 5 }), e.run(policy, { batchSize: 5 })]);
    expect(results.map((r) => r.outcome).sort()).toEqual(['skipped', 'succeeded']);
    expect(results.reduce((n, r) => n + r.deleted, 0)).toBe(50);
  });

  it('deletes nothing more once another run has moved the fence', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(
      e.db,
      Array.from({ length: 30 }, () => 40 * DAY),
    );
    let requests = 0;
    const database: typeof e.services.database = {
      async transaction(statements, options) {
        const rows = await e.services.database.transaction(statements, options);
        // After the second batch somebody else takes over.
        if (++requests === 3) {
          await e.db.sql(
            "update retention.policy_state set fence = fence + 1, run_now = null where policy = 'things'",
          );
        }
        return rows;
      },
    };
    const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW, { batchSize: 5 }));
    expect(result).toMatchObject({ outcome: 'interrupted', reason: 'fenced', deleted: 10 });
    expect(await left(e.db)).toBe(20);
  });

  it('skips a paused policy, stops at the next batch when paused while running, and obeys the switch for all', async () => {
    e = await engine();
    const policy = await govern(e.db);
    await things(
      e.db,
      Array.from({ length: 12 }, () => 40 * DAY),
    );
    const pause = () =>
      e.db.sql(
        `update retention.policy_state set paused = true, paused_by = 'a', paused_reason = 'b', paused_at = now() where policy = 'things'`,
      );
    let requests = 0;
    const database: typeof e.services.database = {
      async transaction(statements, options) {
        const rows = await e.services.database.transaction(statements, options);
        if (++requests === 2) await pause();
        return rows;
      },
    };
    const interrupted = await runPolicy(
      { ...e.services, database },
      policy,
      runRequest(NOW, { batchSize: 5 }),
    );
    expect(interrupted).toMatchObject({ outcome: 'interrupted', reason: 'paused', deleted: 5 });
    expect(await e.run(policy)).toMatchObject({ outcome: 'skipped', reason: 'paused', deleted: 0 });
    await e.db.sql(`update retention.policy_state set paused = false`);
    await e.db.sql(
      `update retention.kill_switch set stopped = true, stopped_by = 'a', reason = 'b', stopped_at = now()`,
    );
    expect(await e.run(policy)).toMatchObject({ outcome: 'skipped', reason: 'stopped', deleted: 0 });
    expect(await left(e.db)).toBe(7);
  });
});

describe('locked rows', () => {
  it('deletes the others, and is not drained while a row that may go is locked', async () => {
    e = await engine();
    const policy = await govern(e.db);
    const ids = await things(e.db, [40 * DAY, 41 * DAY, 42 * DAY]);
    const other = await e.db.session();
    await other.sql('begin');
    await other.sql('select 1 from things where id = $1 for update', [ids[1]]);
    const result = await e.run(policy);
    expect(result).toMatchObject({ outcome: 'interrupted', reason: 'busy', deleted: 2 });
    expect(result.kept.busy).toBeGreaterThan(0);
    other.end();
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it('looks again for them, and counts what stays once', async () => {
    e = await engine();
    const policy = await govern(e.db);
    const [held, locked] = await things(e.db, [40 * DAY, 41 * DAY, 42 * DAY]);
    await e.db.sql(
      `insert into retention.hold (scope, subject, table_name, reason, placed_by) values ('item', $1, 'public.things', 'm', 'a')`,
      [held],
    );
    const other = await e.db.session();
    await other.sql('begin');
    await other.sql('select 1 from things where id = $1 for update', [locked]);
    const result = await e.run(policy);
    expect(result).toMatchObject({ outcome: 'interrupted', reason: 'busy', deleted: 1 });
    expect(result.kept).toMatchObject({ held: 1, busy: 1 });
    other.end();
  });
});
