/** G9: a policy may keep what nobody was told of. No path of deleting passes it by. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { legsOf } from '@/lib/engine/statement/leg';
import { walkOf } from '@/lib/engine/statement/legs';
import { mayGo } from '@/lib/engine/statement/predicate';
import { explainRow } from '@/lib/operators/audit/explain-row';
import { sql } from '@/lib/platform/sql';
import { days, type Policy } from '@/lib/policies/contract';
import { policyReach } from '@/lib/policies/effective';
import { versionOf } from '@/lib/policies/fingerprint';
import { DAY, databaseClock, type Engine, engine, fitsDatabase, left, NOW } from '../../support/engine';
import { noticed, ORGS, ofOrganization, organizations, told } from '../../support/notices';

let e: Engine;
beforeEach(async () => {
  e = await engine();
  await databaseClock(e.db, NOW);
  await organizations(e.db);
});
afterEach(() => e.stop());

const at = (daysLater: number, seconds = 0) => new Date(NOW.getTime() + (daysLater * DAY + seconds) * 1000);

describe('a policy that requires a notice', () => {
  it('keeps what nobody was told of, counts why, and deletes it seven whole days after it was told', async () => {
    await ofOrganization(e.db, 'acme', [40, 31, 29], NOW);
    const kept = await e.run(noticed());
    expect(kept).toMatchObject({ outcome: 'succeeded', deleted: 0, kept: { unnoticed: 2 } });
    expect((await e.run(noticed(), { dryRun: true })).preview).toMatchObject({
      expired: 0,
      kept: { unnoticed: 2 },
    });
    await told(e.db, 'acme', { delivered: at(-7, -7_201), before: at(-30) });
    expect((await e.run(noticed(), { dryRun: true })).preview).toMatchObject({ expired: 2 });
    expect(await e.run(noticed())).toMatchObject({ outcome: 'succeeded', deleted: 2 });
    expect(await left(e.db)).toBe(1);
  });

  it('does not count a message that was delivered a second too late, nor one to another organization', async () => {
    await ofOrganization(e.db, 'acme', [40], NOW);
    await told(e.db, 'acme', { delivered: at(-7, -7_200), before: at(-30) });
    await told(e.db, 'bolt', { delivered: at(-20), before: at(-30) });
    await told(e.db, 'acme', { delivered: at(-20), before: at(-30), policy: 'other' });
    expect(await e.run(noticed())).toMatchObject({ deleted: 0, kept: { unnoticed: 1 } });
  });

  it('does not count what was not delivered: an open message, and one that was only perhaps sent', async () => {
    await ofOrganization(e.db, 'acme', [40], NOW);
    await told(e.db, 'acme', { delivered: at(-20), before: at(-30) });
    await e.db.sql(`update retention.notice_part set delivered_at = null`);
    expect(await e.run(noticed())).toMatchObject({ deleted: 0, kept: { unnoticed: 1 } });
  });

  it('deletes what the message told of and nothing newer', async () => {
    const [old, newer] = await ofOrganization(e.db, 'acme', [40, 35], NOW);
    await told(e.db, 'acme', { delivered: at(-8), before: at(-36) });
    expect(await e.run(noticed())).toMatchObject({ deleted: 1, kept: { unnoticed: 1 } });
    expect(await e.db.sql('select id::text from things')).toEqual([{ id: newer }]);
    expect(old).toBeDefined();
  });

  it('asks for another message after the period of the organization has changed', async () => {
    await ofOrganization(e.db, 'acme', [70], NOW);
    await told(e.db, 'acme', { delivered: at(-8), before: at(-30) });
    await e.db.sql(`update orgs set tier = 'pro'`);
    expect(await e.run(noticed())).toMatchObject({ deleted: 0, kept: { unnoticed: 1 } });
    await told(e.db, 'acme', { delivered: at(-8), before: at(-60), keepDays: 60 });
    expect(await e.run(noticed())).toMatchObject({ deleted: 1 });
  });

  it('says of a row that it waits for its organization to be told', async () => {
    const [old, young] = await ofOrganization(e.db, 'acme', [40, 10], NOW);
    const services = { ...e.services, policies: [noticed()] };
    const status = async (key: string) => (await explainRow(services, 'public.things', key)).here[0]?.status;
    expect(await status(old!)).toBe('unnoticed');
    expect(await status(young!)).toBe('not_expired');
  });

  it('keeps also a row that another reason keeps, under that reason', async () => {
    const [held] = await ofOrganization(e.db, 'acme', [40], NOW);
    await e.db.sql(`select retention.place_hold('alice', 'court', 'item', $1, 'public.things')`, [held]);
    expect(await e.run(noticed())).toMatchObject({ deleted: 0, kept: { held: 1, unnoticed: 0 } });
  });
});

describe('the preflight', () => {
  const to = (where: object) => noticed({ notice: { ...noticed().notice!, to: where as never } });
  const problems = async (policy: Policy) =>
    (await fitsDatabase(e, policy)).map((p) => `${p.problem} | ${p.remedy}`);

  it('lets a policy be whose recipients can be read', async () => {
    await e.db.sql(
      'create table contacts (org uuid, mail text); grant select (org, mail) on contacts to lapse_app',
    );
    expect(await problems(noticed())).toEqual([]);
    expect(await problems(to({ table: { name: 'contacts' }, organization: 'org', address: 'mail' }))).toEqual(
      [],
    );
  });

  it.each([
    [
      { address: 'nothing' },
      /notice\.to cannot be asked .*"?r\.nothing"? does not exist .* correct notice\.to/,
    ],
    [{ address: 'mail', zone: 'nowhere' }, /r\.nowhere does not exist/],
    [{ table: { name: 'nobody' }, organization: 'org', address: 'mail' }, /nobody" does not exist/],
    [
      { table: { name: 'contacts' }, organization: 'org', address: 'mail' },
      /permission denied for table contacts .* GRANT SELECT/,
    ],
    [
      { table: { name: 'texts' }, organization: 'org', address: 'mail' },
      /operator does not exist: text = uuid/,
    ],
  ])('refuses one whose recipients cannot: %j', async (where, problem) => {
    await e.db.sql('create table contacts (org uuid, mail text)');
    await e.db.sql('create table texts (org text, mail text); grant select on texts to lapse_app');
    expect(await problems(to(where))).toEqual([expect.stringMatching(problem)]);
  });
});

it('an erasure waits for nobody', () => {
  const leg = { kind: 'subject' as const, theirs: sql`t.org = ${ORGS.acme}`, held: sql`false` };
  expect(mayGo(walkOf(noticed(), leg, NOW.toISOString())).text).not.toContain('notice_part');
  const [tenants] = legsOf(noticed(), NOW);
  expect(mayGo(walkOf(noticed(), tenants!, NOW.toISOString())).text).toContain('notice_part');
});

describe('a declaration', () => {
  const { notice, ...bare } = noticed();
  const without = (changes: object) => ({ ...bare, notice: { ...notice!, ...changes } });

  it('reaches other rows when a notice is required, no longer required, or required earlier: it waits for the cooling-off', () => {
    const reaches = [noticed(), without({ requiredDays: undefined }), without({ requiredDays: 1 })].map((p) =>
      policyReach(p),
    );
    expect(new Set(reaches).size).toBe(3);
    expect(policyReach(bare)).toBe(policyReach(without({ requiredDays: undefined })));
  });

  it('is the same version whoever is told, and when else', () => {
    expect(versionOf(without({ to: { address: 'other' }, thresholdsDays: [7], extendDays: 3 }))).toBe(
      versionOf(noticed()),
    );
    expect(versionOf(without({ requiredDays: undefined }))).toBe(versionOf(bare));
    expect(versionOf(without({ requiredDays: undefined }))).not.toBe(versionOf(noticed()));
  });

  it.each([
    [{ tenants: undefined, rules: [{ label: 'all', keepFor: days(30) }] }, 'notice: needs tenants'],
    [
      { notice: { thresholdsDays: [7, 7], to: { address: 'mail' } } },
      'notice.thresholdsDays: a threshold is named twice',
    ],
    [
      { notice: { thresholdsDays: [7], requiredDays: 1, to: { address: 'mail' } } },
      'notice.requiredDays: must be one of thresholdsDays (7)',
    ],
    [
      { notice: { to: { address: 'mail', table: { name: 'people' } } } },
      'notice.to.organization: say which column',
    ],
    [{ notice: { thresholdsDays: [0], to: { address: 'mail' } } }, 'notice.thresholdsDays.0'],
  ])('that cannot be kept is refused: %j', (changes, problem) => {
    expect(() => noticed(changes as never)).toThrow(problem);
  });
});
