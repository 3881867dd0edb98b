/** Data kept on consent goes when the consent is withdrawn. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunResult } from '@/lib/engine/run/result';
import { resolvePolicies } from '@/lib/policies';
import { consentOf } from '@/lib/policies/consent';
import { days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { withDerived } from '@/lib/policies/derived';
import { versionOf } from '@/lib/policies/fingerprint';
import {
  DAY,
  type Engine,
  engine,
  fitsDatabase,
  govern,
  left,
  receipted,
  things,
  thingsPolicy,
} from '../support/engine';

const CONSENT = {
  table: { name: 'agreed' },
  subject: 'person',
  purpose: { column: 'purpose', is: 'research' },
  withdrawnAt: 'withdrawn_at',
} as const;
const AGREED = `create table agreed (id int generated always as identity primary key, person uuid not null, purpose text not null,
    given_at timestamptz not null default now(), withdrawn_at timestamptz);
  create index on agreed (person); grant select on agreed to lapse_app;
  create trigger lapse_gate before insert or update or delete on agreed for each statement execute function retention.gate()`;

let e: Engine;
let policy: Policy;
beforeEach(async () => {
  e = await engine();
  await e.db.sql(AGREED);
  policy = await govern(e.db, { consent: CONSENT });
});
afterEach(() => e.stop());

/** A person with a row of each age, and what they agreed to: `in force`, `withdrawn`. */
async function person(
  ages: readonly number[],
  ...consents: readonly ['in force' | 'withdrawn', string?][]
): Promise<string> {
  const id = randomUUID();
  const ids = await things(e.db, ages);
  await e.db.sql('update things set person = $1 where id = any($2::uuid[])', [id, ids]);
  for (const [state, purpose = 'research'] of consents) {
    await e.db.sql(
      'insert into agreed (person, purpose, withdrawn_at) values ($1, $2, case when $3 then now() end)',
      [id, purpose, state === 'withdrawn'],
    );
  }
  return id;
}
const of = async (id: string) => (await e.db.sql('select 1 from things where person = $1', [id])).length;
const run = (p: Policy = policy, request = {}): Promise<RunResult> => e.run(consentOf(p)!, request);

describe('a consent that was withdrawn', () => {
  it('takes everything of that person that is kept on it, whatever its age, and nothing of others', async () => {
    const gone = await person([DAY, 20 * DAY, 400 * DAY], ['withdrawn'], ['in force', 'newsletter']);
    const agrees = await person([DAY], ['in force']);
    const never = await person([DAY]);
    const elsewhere = await person([DAY], ['withdrawn', 'newsletter']);
    expect(await run()).toMatchObject({
      outcome: 'succeeded',
      deleted: 3,
      byRule: { 'consent-withdrawn': { deleted: 3 } },
    });
    expect([await of(gone), await of(agrees), await of(never), await of(elsewhere)]).toEqual([0, 1, 1, 1]);
  });

  it('is named by the rule of each receipt, which names every row once', async () => {
    await person([DAY, 2 * DAY], ['withdrawn']);
    await run();
    expect(await e.db.sql('select distinct policy, by_rule, action from retention.receipt')).toEqual([
      {
        policy: 'things-consent',
        by_rule: { 'consent-withdrawn': { bytes: 0, deleted: 2 } },
        action: 'delete',
      },
    ]);
    expect([...(await receipted(e.db)).values()]).toEqual([1, 1]);
  });

  it('and given again before the run keeps the rows', async () => {
    const back = await person([DAY], ['withdrawn'], ['in force']);
    expect(await run()).toMatchObject({ outcome: 'succeeded', deleted: 0 });
    expect(await of(back)).toBe(1);
  });

  it('and given again while the run is under way keeps what no batch has taken', async () => {
    const [first, back] = [await person([3 * DAY], ['withdrawn']), await person([DAY], ['withdrawn'])];
    const { database } = e.services;
    let batches = 0;
    Object.assign(e.services, {
      database: {
        transaction: async (...a: Parameters<typeof database.transaction>) => {
          const rows = await database.transaction(...a);
          if (a[0].some((s) => s.text.includes('enter_batch')) && ++batches === 1) {
            await e.db.sql("insert into agreed (person, purpose) values ($1, 'research')", [back]);
          }
          return rows;
        },
      },
    });
    expect(await run(policy, { batchSize: 1 })).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect([await of(first), await of(back)]).toEqual([0, 1]);
  });

  it('takes nothing that is held, and takes it when the hold is over', async () => {
    const held = await person([DAY], ['withdrawn']);
    await e.db.sql("select retention.place_hold('ann', 'matter 7', 'user', $1, null)", [held]);
    expect(await run()).toMatchObject({ outcome: 'succeeded', deleted: 0, kept: { held: 1 } });
    await e.db.sql(
      "update retention.hold set released_by = 'ben', released_at = now(), release_reason = 'over'",
    );
    expect(await run()).toMatchObject({ deleted: 1 });
    expect(await of(held)).toBe(0);
  });

  it('is counted by a dry run exactly, and stopped by the mass-deletion guard', async () => {
    for (let i = 0; i < 4; i += 1) await person([DAY], ['withdrawn']);
    expect(await run(policy, { dryRun: true })).toMatchObject({ preview: { expired: 4 } });
    Object.assign(e.services, {
      settings: { ...e.services.settings, guards: { ...e.services.settings.guards, massDeletion: true } },
    });
    await e.db.sql('analyze things');
    const guarded = { ...policy, guard: { ...policy.guard, rows: 3 } };
    expect(await run(guarded)).toMatchObject({ outcome: 'skipped', reason: 'guarded' });
    expect(await left(e.db)).toBe(4);
  });

  it('masks where the policy masks, and deletes where it would keep a copy for a while', async () => {
    await e.db.sql('alter table things add column masked_at timestamptz, add column deleted_at timestamptz');
    await e.db.sql('create index on things (deleted_at, id)');
    const masking: Partial<PolicyInput> = {
      strategy: { kind: 'mask', mark: 'masked_at', columns: [{ column: 'note', to: null }] },
    };
    const soft: Partial<PolicyInput> = {
      strategy: { kind: 'soft-delete', column: 'deleted_at', purgeAfter: days(14) },
    };
    const gone = await person([DAY], ['withdrawn']);
    await e.db.sql("update things set note = 'private'");
    await run(thingsPolicy({ consent: CONSENT, ...masking }));
    expect(await e.db.sql('select note, masked_at is not null as masked from things')).toEqual([
      { note: null, masked: true },
    ]);
    expect(await run(thingsPolicy({ consent: CONSENT, ...soft }))).toMatchObject({ deleted: 1 });
    expect(await of(gone)).toBe(0);
  });
});

describe('the declaration', () => {
  it('fits the database, and without a gate on the consents it is refused with the statement that makes one', async () => {
    expect(await fitsDatabase(e, consentOf(policy)!)).toEqual([]);
    await e.db.sql('drop trigger lapse_gate on agreed');
    const problems = await fitsDatabase(e, consentOf(policy)!);
    expect(problems.map((p) => p.remedy).join()).toContain('lapse_gate');
    for (const { remedy } of problems) await e.db.sql(remedy);
    expect(await fitsDatabase(e, consentOf(policy)!)).toEqual([]);
  });

  it('makes a policy of its own, and changes no version of the one that declares it', () => {
    const without = thingsPolicy();
    expect(versionOf(policy)).toBe(versionOf(without));
    expect(withDerived([policy, without]).map((p) => p.name)).toEqual(['things', 'things-consent', 'things']);
    expect(consentOf(without)).toBeNull();
    expect(resolvePolicies({}, withDerived([policy])).map((p) => p.name)).toEqual([
      'things',
      'things-consent',
    ]);
  });

  it.each([
    ['a person nobody names', { scope: {} }, 'consent.of'],
    [
      'words that could be more than a purpose',
      { consent: { ...CONSENT, purpose: { column: 'p', is: "x' or true" } } },
      'consent.purpose.is',
    ],
    [
      'a partitioned table',
      {
        partitioned: { by: 'month' as const },
        key: [
          { column: 'at', type: 'timestamptz' },
          { column: 'id', type: 'uuid' },
        ],
      },
      'consent',
    ],
  ])('of %s is refused, and names the field', (_, changes, field) => {
    expect(() => thingsPolicy({ consent: CONSENT, ...changes } as Partial<PolicyInput>)).toThrow(
      `- ${field}:`,
    );
  });

  it('finds the person by another column where it says so', async () => {
    const id = await person([DAY], ['withdrawn']);
    await e.db.sql('update things set org = person, person = null');
    const named = thingsPolicy({ consent: { ...CONSENT, of: 'org' } });
    expect(await run(named)).toMatchObject({ deleted: 1 });
    expect(await e.db.sql('select 1 from things where org = $1', [id])).toEqual([]);
  });

  it('its schedule is not that of the policy itself', () => {
    expect([policy.schedule.run, consentOf(policy)!.schedule.run]).toEqual(['0 2 * * *', '0 4 * * *']);
  });
});
