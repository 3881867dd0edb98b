import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { auditRoute } from '@/lib/http/audit-routes';
import { cronRoute } from '@/lib/http/cron-route';
import { erasureRoute } from '@/lib/http/erasure-route';
import { exportRoute } from '@/lib/http/export-route';
import { controlRoute } from '@/lib/http/operator-route';
import { ordersRoute } from '@/lib/http/orders-route';
import { restoreRoute } from '@/lib/http/restore-route';
import { operatorList } from '@/lib/platform/settings/operators';
import { demand, may, type Permission, ROLES } from '@/lib/platform/settings/roles';
import type { Services } from '@/lib/services';
import { CONSOLE_ENV, STAFF, type Staff } from '@/test/support/console';
import { DAY, type Engine, engine, govern, things } from '@/test/support/engine';

let e: Engine;
let s: Services;
beforeEach(async () => {
  e = await engine({ env: CONSOLE_ENV });
  s = { ...e.services, policies: [await govern(e.db)] };
});
afterEach(() => e.stop());

const send = async (route: (r: Request) => Promise<Response>, who: Staff, body?: object, query = '') => {
  const headers = { authorization: `Bearer ${STAFF[who].token}`, 'content-type': 'application/json' };
  const init = body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers };
  return (await route(new Request(`http://localhost/api/x${query}`, init))).status;
};

it('a role may what the table says, and no more', () => {
  const every: Permission[] = ['look', 'audit', 'stop', 'operate', 'approve'];
  expect(ROLES.map((role) => [role, every.filter((p) => may([role], p))])).toEqual([
    ['viewer', ['look']],
    ['operator', ['look', 'audit', 'stop', 'operate']],
    ['approver', ['look', 'audit', 'stop', 'approve']],
    ['auditor', ['look', 'audit']],
  ]);
  expect(() => demand({ name: 'vera', roles: ['viewer'] }, 'stop')).toThrow(/operator or approver/);
});

it('an entry names one role, several, or none, which is operator and approver', () => {
  const hash = (c: string) => c.repeat(64);
  const list = operatorList.parse(`a:viewer:${hash('a')},b:operator+auditor:${hash('b')},c:${hash('c')}`);
  expect(list.map(({ name, roles }) => [name, roles])).toEqual([
    ['a', ['viewer']],
    ['b', ['operator', 'auditor']],
    ['c', ['operator', 'approver']],
  ]);
});

describe('the operators’ endpoints', () => {
  const control = () => controlRoute(() => s);
  const reason = 'because of the tests';

  it.each([
    [{ action: 'all.stop', reason }, ['vera', 'audra']],
    [{ action: 'policy.pause', policy: 'things', reason }, ['vera', 'audra']],
    [{ action: 'policy.resume', policy: 'things', reason }, ['vera', 'audra', 'anna']],
    [
      { action: 'hold.place', scope: 'organization', subject: 'o', reason, force: true },
      ['vera', 'audra', 'anna'],
    ],
    [
      { action: 'hold.release', id: '00000000-0000-4000-8000-000000000000', reason },
      ['vera', 'audra', 'otto'],
    ],
    [
      { action: 'approval.give', policy: 'things', digest: 'a'.repeat(64), reason },
      ['vera', 'audra', 'otto'],
    ],
    [{ action: 'lease.release', policy: 'things', reason }, ['vera', 'audra', 'anna']],
  ] as const)('control refuses %j to whose role may not, before it does anything', async (body, refused) => {
    const before = await e.db.sql('select count(*)::int as n from retention.audit_entry');
    for (const who of refused) expect([who, await send(control().POST, who, body)]).toEqual([who, 403]);
    expect(await e.db.sql('select count(*)::int as n from retention.audit_entry')).toEqual(before);
    for (const who of ['otto', 'anna', 'maria'] as const) {
      if (!(refused as readonly string[]).includes(who))
        expect(await send(control().POST, who, body)).not.toBe(403);
    }
  });

  it('an extension is set to an earlier day by who may approve only, as it is ended', async () => {
    const [key] = await things(e.db, [40 * DAY]);
    const until = (keepUntil: string, who: Staff) =>
      send(control().POST, who, { action: 'extension.set', table: 'public.things', key, keepUntil, reason });
    const end = { action: 'extension.end', table: 'public.things', key, reason };
    expect(await until('2099-06-01T00:00:00Z', 'otto')).toBe(200);
    expect(await until('2099-01-01T00:00:00Z', 'otto')).toBe(403);
    expect(await send(control().POST, 'otto', end)).toBe(403);
    expect(
      await e.db.sql('select keep_until = $1 as stays from retention.extension', ['2099-06-01Z']),
    ).toEqual([{ stays: true }]);
    expect(await until('2099-07-01T00:00:00Z', 'otto')).toBe(200);
    expect(await until('2099-01-01T00:00:00Z', 'maria')).toBe(200);
  });

  it('an organization gets a shorter period by who may approve only, as its own is taken away', async () => {
    await e.db.sql(`create table orgs (id uuid primary key default gen_random_uuid(), plan text);
      grant select on orgs to lapse_app`);
    const [org] = await e.db.sql<{ id: string }>("insert into orgs (plan) values ('free') returning id");
    const orgs = { schema: 'public', name: 'orgs' };
    const tenants = {
      table: orgs,
      key: { column: 'id', type: 'uuid' },
      column: 'org',
      label: 'o.plan',
      judgedBy: [orgs],
    };
    const rules = [{ label: 'free', keepFor: { seconds: 30 * DAY }, match: {} }];
    s = { ...s, policies: [{ ...s.policies[0]!, rules, tenants }] };
    const period = (keepDays: number, who: Staff) =>
      send(control().POST, who, {
        action: 'override.set',
        policy: 'things',
        tenant: org!.id,
        keepDays,
        reason,
      });
    expect(await period(29, 'otto')).toBe(403);
    expect(await period(30, 'otto')).toBe(200);
    expect(await period(-1, 'otto')).toBe(200);
    expect(await period(36_500, 'otto')).toBe(403);
    expect(await period(60, 'maria')).toBe(200);
    expect(await period(59, 'otto')).toBe(403);
    expect(await e.db.sql('select keep_seconds::int from retention.period_override')).toEqual([
      { keep_seconds: 60 * DAY },
    ]);
  });

  it('shows counts to every role, and the trail of single records not to a viewer', async () => {
    expect(await send(control().GET, 'vera')).toBe(200);
    const trail = [auditRoute('entries', () => s), erasureRoute(() => s).GET, exportRoute(() => s).GET];
    for (const route of trail) {
      expect([await send(route, 'vera'), await send(route, 'audra')]).toEqual([403, 200]);
    }
  });

  it('erasures, exports, restores and orders take what was asked from an operator, and confirmations from an approver', async () => {
    const id = '00000000-0000-4000-8000-000000000000';
    const all = [
      [erasureRoute(() => s).POST, { user: 'u', reason }, { action: 'confirm', id, reason }],
      [restoreRoute(() => s).POST, { run: id, reason }, { action: 'confirm', id, reason }],
      [
        ordersRoute(() => s).POST,
        { action: 'order.refund', order: '1', reason },
        { action: 'order.confirm', order: '1', reason },
      ],
    ] as const;
    for (const [route, asks, confirms] of all) {
      for (const who of ['vera', 'audra'] as const) {
        expect([await send(route, who, asks), await send(route, who, confirms)]).toEqual([403, 403]);
      }
      expect([await send(route, 'anna', asks), await send(route, 'otto', confirms)]).toEqual([403, 403]);
      expect(await send(route, 'otto', asks)).not.toBe(403);
      expect(await send(route, 'anna', confirms)).not.toBe(403);
    }
    expect(await send(exportRoute(() => s).POST, 'anna', { user: 'u', reason })).toBe(403);
  });

  it('a dry run by token needs an operator', async () => {
    const dry = async (who: Staff) =>
      (
        await cronRoute('things', () => s).GET(
          new Request('http://localhost/api/cron/things?dryRun=1', {
            headers: { authorization: `Bearer ${STAFF[who].token}` },
          }),
        )
      ).status;
    expect([await dry('vera'), await dry('otto')]).toEqual([403, 200]);
  });
});
