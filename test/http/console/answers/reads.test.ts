import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { auditPath, entriesRoute, filtersOf, lookAtChain } from '@/lib/http/console/audit';
import { dataMapPage } from '@/lib/http/console/data-map';
import { byHash, byId, hashesIn, personOf } from '@/lib/http/console/people';
import { daysOf, reportRoute } from '@/lib/http/console/reports';
import { answerRoute } from '@/lib/http/console/why';
import { answerFor } from '@/lib/operators/audit/answer';
import { type AuditEntry, type EntriesAsk, readEntries } from '@/lib/operators/audit/entries';
import { cleanupReport } from '@/lib/operators/audit/report';
import { keyedHash, keyFor } from '@/lib/platform/keys';
import { defineDataMap } from '@/lib/policies/data-map-contract';
import { IDENTIFIER_PURPOSE } from '@/lib/rights/graph/identifiers';
import { hashesOf } from '@/lib/rights/notices/recipients';
import type { Services } from '@/lib/services';
import { CONSOLE_ENV, cookieOf, type Staff } from '@/test/support/console';
import { DAY, govern, NOW, things } from '@/test/support/engine';
import { type Guarded, guarded } from '@/test/support/guarded';
import { LINKS } from '@/test/support/links';

const RIGHTS_KEY = '2e'.repeat(32);
let e: Guarded;
let s: Services;
beforeEach(async () => {
  e = await guarded({ ...CONSOLE_ENV, ...LINKS, LAPSE_RIGHTS_KEY: RIGHTS_KEY });
  const policy = await govern(e.db);
  s = { ...e.services, policies: [policy] };
});
afterEach(() => e.stop());

type Route = { GET: (request: Request) => Promise<Response> };
const get = async (route: Route, who: Staff | null, query = '') =>
  route.GET(
    new Request(`http://lapse.test/x?${query}`, {
      headers: who ? { cookie: await cookieOf(s, who) } : {},
    }),
  );

const record = (n: number, actor: string, action: string, policy: string | null) =>
  e.db.sql(
    `select count(*) from generate_series(1, $1::int) i cross join lateral retention.record($2, $3, 'subject ' || i, 'a reason, with a comma', $4::jsonb)`,
    [n, actor, action, JSON.stringify(policy === null ? {} : { policy })],
  );

async function all(
  asked: EntriesAsk,
  bounds: { size?: number; stretch?: number } = {},
): Promise<AuditEntry[]> {
  const found: AuditEntry[] = [];
  let before: number | undefined;
  for (;;) {
    const page = await readEntries(s, { ...asked, before }, bounds);
    expect(page.entries.length).toBeLessThanOrEqual(bounds.size ?? 50);
    found.push(...page.entries);
    if (page.next === null) return found;
    before = page.next;
  }
}

describe('the entries of the audit chain', () => {
  beforeEach(async () => {
    await record(7, 'alice', 'hold.placed', 'things');
    await record(5, 'bob', 'hold.placed', 'others');
    await record(3, 'alice', 'policy.paused', 'things');
  });

  it.each<[EntriesAsk, number]>([
    [{}, 15],
    [{ actor: 'alice' }, 10],
    [{ action: 'hold.placed' }, 12],
    [{ policy: 'things' }, 10],
    [{ actor: 'alice', action: 'hold.placed', policy: 'things' }, 7],
    [{ actor: 'bob', action: 'policy.paused' }, 0],
    [{ day: '2020-01-01' }, 0],
  ])('for %o are each found once, the newest first, whatever a page and a stretch hold', async (asked, n) => {
    const whole = await all(asked);
    expect(whole).toHaveLength(n);
    expect(whole.map((x) => x.n)).toEqual(whole.map((x) => x.n).toSorted((a, b) => b - a));
    for (const bounds of [
      { size: 2, stretch: 3 },
      { size: 3, stretch: 2 },
      { size: 1, stretch: 1 },
    ]) {
      expect(await all(asked, bounds)).toEqual(whole);
    }
  });

  it('of one day are those of that day, UTC', async () => {
    const today = new Date().toISOString().slice(0, 10);
    const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    const dated = [...(await all({ day: today })), ...(await all({ day: yesterday }))];
    expect(dated).toHaveLength(15);
    expect(dated.every((x) => [today, yesterday].includes(x.at.slice(0, 10)))).toBe(true);
  });

  it('are handed out as a file, all of them, to who may read them', async () => {
    await record(2_200, 'carol', 'hold.placed', 'things');
    const file = await get(
      entriesRoute(() => s),
      'audra',
      'actor=carol',
    );
    expect([file.status, file.headers.get('content-disposition')]).toEqual([
      200,
      'attachment; filename="audit.csv"',
    ]);
    const lines = (await file.text()).split('\r\n');
    expect(lines).toHaveLength(2_202);
    expect(lines[0]).toBe('n,at,actor,action,subject,reason,detail,hash');
    expect(lines[1]).toContain('"a reason, with a comma"');
    expect(new Set(lines.slice(1, -1).map((l) => l.split(',')[0])).size).toBe(2_200);
    expect(
      (
        await get(
          entriesRoute(() => s),
          'vera',
        )
      ).status,
    ).toBe(403);
    expect(
      (
        await get(
          entriesRoute(() => s),
          null,
        )
      ).status,
    ).toBe(401);
    expect(
      (
        await get(
          entriesRoute(() => s),
          'audra',
          'day=soon',
        )
      ).status,
    ).toBe(400);
  });

  it('are unbroken with their head, and an edited one is named', async () => {
    const [head] = await e.db.sql('select hash from retention.audit_entry order by n desc limit 1');
    expect(await lookAtChain(s)).toEqual({ entries: 15, head: head?.hash, complete: true, problems: [] });
    await e.db.sql('alter table retention.audit_entry disable trigger user');
    await e.db.sql(`update retention.audit_entry set reason = 'another' where n = 4`);
    const { problems } = await lookAtChain(s);
    expect(problems[0]).toContain('entry 4 is not what was written');
  });

  it('are not said to be unbroken when there was no time to look at all of them', async () => {
    let asked = 0;
    const clock = () => new Date(NOW.getTime() + 20_000 * asked++);
    expect(await lookAtChain({ ...s, clock })).toMatchObject({ complete: false });
  });
});

it('filters keep their page, and what cannot be one is named', () => {
  expect(filtersOf({ actor: ' alice ', action: '', day: '2026-03-01', before: '7' })).toEqual({
    filters: { actor: 'alice', action: undefined, day: '2026-03-01', before: 7 },
    wrong: null,
  });
  expect(filtersOf({ day: '2026-02-30' }).wrong).toBe('day');
  expect(auditPath({ actor: 'a b', before: 3 })).toBe('/audit?actor=a+b&before=3');
});

describe('the answer to keep', () => {
  it('is what the page says, for who may read the trail', async () => {
    const [id] = await things(e.db, [10 * DAY]);
    const route = answerRoute(() => s);
    for (const who of ['otto', 'anna', 'audra', 'maria'] as const) {
      const answer = await get(route, who, `id=${id}`);
      expect([answer.status, await answer.json()]).toEqual([200, await answerFor(s, { id: id! })]);
    }
    expect(await (await get(route, 'audra', `id=${id}&format=text`)).text()).toContain('Due on 22 Mar 2026');
    expect((await get(route, 'vera', `id=${id}`)).status).toBe(403);
    expect((await get(route, null, `id=${id}`)).status).toBe(401);
    expect((await get(route, 'audra', `id=${id}&format=xml`)).status).toBe(400);
    expect((await get(route, 'audra', 'id=')).status).toBe(422);
    expect((await get(route, 'audra', `id=${id}&table=public.nothing`)).status).toBe(404);
  });
});

describe('what is on record about a person', () => {
  const address = 'Maria.Muster@Example.com';

  it('is found by the keyed hash of their address, and by nothing else', async () => {
    const hash = keyedHash(keyFor(RIGHTS_KEY, IDENTIFIER_PURPOSE), address.toLowerCase());
    await e.db.sql(
      `insert into retention.erasure (scope, subject, reason, requested_by, identifiers) values ('user', 'u1', 'asked', 'alice', $1::jsonb)`,
      [JSON.stringify({ email: [hash] })],
    );
    await e.db.sql(
      `insert into retention.notice (tenant, recipient, state, required, claimed_until, settled_at) values ('org1', $1, 'delivered', false, now(), now())`,
      [hashesOf(s.settings.links!, address)[0]],
    );
    const hashes = personOf(s, ` ${address.toUpperCase()} `)!;
    expect(hashes).toHaveLength(2);
    expect(hashes.join()).not.toContain('@');
    expect(hashesIn(hashes.join('.'))).toEqual(hashes);
    expect(await byHash(s, hashes)).toMatchObject({
      erasures: [{ scope: 'user', state: 'requested', requested_by: 'alice' }],
      messages: [{ tenant: 'org1', state: 'delivered' }],
      holds: [],
    });
    expect(await byHash(s, personOf(s, 'else@example.com')!)).toEqual({
      erasures: [],
      messages: [],
      holds: [],
    });
    expect(hashesIn(address)).toBeNull();
    expect(personOf(s, randomUUID())).toBeNull();
  });

  it('is found by their id', async () => {
    await e.db.sql(
      `insert into retention.erasure (scope, subject, reason, requested_by) values ('user', 'u1', 'asked', 'alice')`,
    );
    await e.db.sql(
      `insert into retention.hold (scope, subject, reason, placed_by) values ('user', 'u1', 'Acme v. us', 'bob')`,
    );
    expect(await byId(s, 'u1')).toMatchObject({
      erasures: [{ state: 'requested' }],
      holds: [{ scope: 'user', reason: 'Acme v. us', placed_by: 'bob', released_at: null }],
    });
    expect(await byId(s, 'u2')).toEqual({ erasures: [], holds: [], messages: [] });
  });

  it('is not looked for where there is no key to hash an address with', () => {
    const settings = { ...s.settings, links: undefined, rightsKeys: [] };
    expect(personOf({ settings }, address)).toEqual([]);
  });
});

describe('a report', () => {
  it('is of whole days, both counted, and of the last seven where the address says none', async () => {
    expect(daysOf({}, NOW)).toMatchObject({
      days: { from: '2026-02-23', to: '2026-03-01' },
      period: { from: new Date('2026-02-23T00:00:00Z'), to: new Date('2026-03-02T00:00:00Z') },
      wrong: null,
    });
    expect(daysOf({ from: '2026-03-02', to: '2026-03-01' }, NOW)).toMatchObject({
      days: { from: '2026-02-23' },
      wrong: 'to must be after from',
    });
    expect(daysOf({ from: 'soon' }, NOW).wrong).toContain('from must be a date');
    expect(daysOf({ to: 'soon' }, NOW).wrong).toContain('to must be a date');
  });

  it('says the same as a file, to every role', async () => {
    await things(e.db, [40 * DAY]);
    await e.run(s.policies[0]!);
    const route = reportRoute(() => s);
    const { period } = daysOf({}, NOW);
    const report = await cleanupReport(s, period);
    expect(report).toMatchObject({
      policies: [{ rows_deleted: 1, within_sla: 1, warning: 0, breached: 0 }],
    });
    // Receipts are written by the database's own clock.
    const hour = (n: number) => new Date(Date.now() + n * 3_600_000);
    const written = await cleanupReport(s, { from: hour(-1), to: hour(1) });
    expect(written).toMatchObject({ policies: [{ runs: 0, actions: 'delete' }] });
    expect(await cleanupReport(s, { from: hour(1), to: hour(2) })).toMatchObject({
      policies: [{ actions: null }],
    });
    for (const who of ['vera', 'audra', 'otto', 'anna'] as const) {
      expect(await (await get(route, who, 'format=json')).json()).toEqual(JSON.parse(JSON.stringify(report)));
    }
    const lines = (await (await get(route, 'vera')).text()).split('\r\n');
    expect(lines).toHaveLength(3);
    expect((await get(route, 'vera', 'from=2026-03-05&to=2026-03-01')).status).toBe(400);
    expect((await get(route, null)).status).toBe(401);
  });
});

describe('the data map', () => {
  it('shows what lacks a decision first, and what an erasure does with each personal column', async () => {
    const dataMap = defineDataMap({
      'public.things': { policy: 'things', confidential: { mask: { note: null, person: 'hash' } } },
      'public.users': {
        ...{ kept: 'while the account lasts', subject: 'user' as const },
        confidential: {
          retain: { columns: ['email'], ground: 'tax law says so', until: { years: 10, after: 'at' } },
        },
      },
      'public.later': { undecided: true },
    });
    await e.db.sql(
      `insert into retention.drift (id, kind, subject, problem, remedy, found_at, seen_at) values
        ('0000000000000001', 'foreign-key', 'public.b', 'no index', 'create index', now(), now()),
        ('0000000000000002', 'table', 'public.a', 'has no line', 'the line', now(), now())`,
    );
    const page = await dataMapPage({ ...s, dataMap });
    expect(page.findings.map((f) => f.subject)).toEqual(['public.a', 'public.b']);
    expect(page.tables).toEqual([
      expect.objectContaining({ label: 'public.later', undecided: true, decision: 'not decided' }),
      expect.objectContaining({
        ...{ label: 'public.things', decision: 'goes by policy things', policies: ['things'] },
        ...{ erased: [], masked: ['note', 'person'], retained: [] },
      }),
      expect.objectContaining({
        ...{
          label: 'public.users',
          subject: 'user',
          decision: 'kept: while the account lasts',
          policies: [],
        },
        retained: [{ columns: ['email'], ground: 'tax law says so' }],
      }),
    ]);
  });
});
