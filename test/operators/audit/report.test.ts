import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { auditRoute, cleanupRoute } from '@/lib/http/audit-routes';
import { days, type Policy } from '@/lib/policies/contract';
import { DAY, govern, things } from '@/test/support/engine';
import { type Guarded, guarded, later } from '@/test/support/guarded';
import { act, OPERATORS, TOKENS } from '@/test/support/operators';

let e: Guarded;
let policy: Policy;
beforeEach(async () => {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS });
  policy = await govern(e.db, {
    rules: [
      { label: 'short', keepFor: days(10), match: { note: 's' } },
      { label: 'long', keepFor: days(30), match: { note: 'l' } },
    ],
  });
  await e.db.sql('create index on things (note, at, id)');
  e = { ...e, services: { ...e.services, policies: [policy] } };
});
afterEach(() => e.stop());

const get = (query: string, token: string = TOKENS.alice) =>
  cleanupRoute(() => e.services)(
    new Request(`http://localhost/api/reports/cleanup?${query}`, {
      headers: { authorization: `Bearer ${token}` },
    }),
  );
const view = async (name: string, query = '') => {
  const r = await auditRoute(
    name,
    () => e.services,
  )(
    new Request(`http://localhost/api/audit/${name}${query}`, {
      headers: { authorization: `Bearer ${TOKENS.alice}` },
    }),
  );
  return { status: r.status, body: await r.json() };
};

async function twoDays(): Promise<void> {
  const ids = await things(
    e.db,
    [40, 41, 20, 5].map((d) => d * DAY),
  );
  await e.db.sql("update things set note = case when id = any($1::uuid[]) then 'l' else 's' end", [
    ids.slice(0, 2),
  ]);
  await act(e.services, 'alice', {
    action: 'hold.place',
    scope: 'item',
    subject: ids[1],
    table: 'public.things',
    reason: 'case',
  });
  await e.run(policy, { dryRun: true });
  await e.run(policy);
  await e.at(later(6), policy);
}

describe('the cleanup report', () => {
  it('counts what ran, went and stayed in the period, by policy and rule', async () => {
    await twoDays();
    const report = await (await get('from=2026-03-01&to=2026-03-02')).json();
    expect(report).toMatchObject({
      from: '2026-03-01T00:00:00.000Z',
      to: '2026-03-02T00:00:00.000Z',
      policies: [
        {
          policy: 'things',
          runs: 1,
          succeeded: 1,
          dry_runs: 1,
          rows_deleted: 2,
          held: 1,
          by_rule: { long: { deleted: 1, bytes: 0 }, short: { deleted: 1, bytes: 0 } },
          retention: { short: 10 * DAY, long: 30 * DAY },
        },
      ],
      totals: { rows_deleted: 2 },
    });
    const both = await (await get('from=2026-03-01&to=2026-04-01')).json();
    expect(both).toMatchObject({
      policies: [{ runs: 2, dry_runs: 1, rows_deleted: 3, held: 2 }],
      totals: { rows_deleted: 3 },
    });
  });

  it('takes from inclusive and to exclusive', async () => {
    await twoDays();
    const report = await (await get('from=2026-03-01T02:00:00Z&to=2026-03-07T02:00:00Z')).json();
    expect(report).toMatchObject({ totals: { rows_deleted: 2 } });
  });

  it('is a CSV with the same numbers', async () => {
    await twoDays();
    const response = await get('from=2026-03-01&to=2026-04-01&format=csv');
    expect(response.headers.get('content-type')).toContain('text/csv');
    const [head, line, end] = (await response.text()).split('\r\n');
    const row = Object.fromEntries((head ?? '').split(',').map((c, i) => [c, (line ?? '').split(',')[i]]));
    expect(row).toMatchObject({ policy: 'things', runs: '2', rows_deleted: '3', held: '2', dry_runs: '1' });
    expect(end).toBe('');
  });

  it.each([
    ['', 'from'],
    ['from=2026-03-01', 'to'],
    ['from=yesterday&to=2026-03-02', 'from'],
    ['from=2026-02-30&to=2026-03-02', 'from'],
    ['from=2026-03-01T00:00:00&to=2026-03-02', 'from'],
    ['from=2026-03-02&to=2026-03-01', 'to'],
    ['from=2020-01-01&to=2026-01-01', 'to'],
    ['from=2026-03-01&to=2026-03-02&format=xml', 'format'],
    ['from=2026-03-01&to=2026-03-02&policy=x', 'policy'],
  ])('refuses "%s", naming %s', async (query, field) => {
    const response = await get(query);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { field } });
  });

  it('is for operators only', async () => {
    expect((await get('from=2026-03-01&to=2026-03-02', 'a-secret-of-the-tests')).status).toBe(401);
  });
});

describe('the audit views', () => {
  beforeEach(twoDays);

  it('list the chain, verify it and export its head', async () => {
    expect((await view('entries')).body).toMatchObject({
      entries: [{ n: 1, action: 'hold.placed' }, { n: 2, action: 'run.sealed' }, { n: 3 }],
      next: null,
    });
    expect((await view('entries', '?after=2')).body.entries).toHaveLength(1);
    const { head } = (await view('head')).body as { head: { text: string } };
    const { n, hash } = JSON.parse(head.text) as { n: number; hash: string };
    expect((await view('verify', `?n=${n}&hash=${hash}`)).body).toMatchObject({
      ok: true,
      entries: 3,
      runs: 2,
    });
    expect((await view('verify', `?n=9&hash=${hash}`)).body).toMatchObject({
      ok: false,
      problems: [{ kind: 'cut off' }],
    });
  });

  it('answer the lineage of a row', async () => {
    const [{ id } = { id: '' }] = await e.db.sql<{ id: string }>(
      'select (retention.keys_of(receipt))[1] as id from retention.receipt limit 1',
    );
    expect((await view('lineage', `?table=public.things&key=${id}`)).body).toMatchObject({
      deletions: [{ policy: 'things' }],
    });
  });

  it.each([
    ['nothing', '', 404],
    ['constructor', '', 404],
    ['lineage', '?table=public.things', 400],
    ['lineage', '?table=public.things&key=x&more=1', 400],
    ['verify', '?n=5', 400],
    ['verify', '?n=-1&hash=00', 400],
    ['entries', '?after=x', 400],
    ['head', '?x=1', 400],
  ])('refuse %s%s with %i', async (name, query, status) => {
    expect((await view(name, query)).status).toBe(status);
  });
});
