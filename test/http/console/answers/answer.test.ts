import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { answerFor } from '@/lib/operators/audit/answer';
import { answerAsText, answerInWords } from '@/lib/operators/audit/answer-words';
import { explainRow } from '@/lib/operators/audit/explain-row';
import { indexReceipts } from '@/lib/operators/audit/receipt-index';
import { days, forever, type Policy } from '@/lib/policies/contract';
import { ago, DAY, govern, NOW, things, thingsPolicy } from '@/test/support/engine';
import { aged, type Guarded, guarded } from '@/test/support/guarded';
import { keyed } from '@/test/support/keyed';
import { act, OPERATORS } from '@/test/support/operators';

let e: Guarded;
let policy: Policy;
beforeEach(async () => {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS });
  policy = await govern(e.db);
  e = { ...e, services: { ...e.services, policies: [policy] } };
});
afterEach(() => e.stop());

const of = (id: string | undefined, policies: readonly Policy[] = [policy], table?: string) =>
  answerFor({ ...e.services, policies }, { id: String(id), table });
const words = async (...asked: Parameters<typeof of>) => {
  const { found, never } = answerInWords(await of(...asked));
  return never ? [never] : found;
};
const one = async (age: number | null) => (await things(e.db, [age]))[0]!;

/** What the answer says of a row is what the API's lineage says of it. */
async function isLineage(id: string, policies: readonly Policy[] = [policy]) {
  const lineage = await explainRow({ ...e.services, policies }, 'public.things', id);
  const [found] = (await of(id, policies)).found;
  expect(found?.here).toEqual(lineage.here);
  expect(found?.deletions.map(({ proof: _, ...d }) => d)).toEqual(
    lineage.deletions.map((d) => expect.objectContaining(d)),
  );
  return lineage.here[0]?.status;
}

it('says of what was deleted when, by which run, batch, rule and version, who started it, and that its receipt is in the chain', async () => {
  const id = await one(40 * DAY);
  const run = await e.run(policy);
  const [said] = await words(id);
  expect(said?.headline).toMatch(/^Deleted on \d+ \w+ \d{4}, [\d:]+ UTC$/);
  expect(said?.sentence).toContain(`Row ${id} of public.things was deleted on`);
  expect(Object.fromEntries(said!.facts.map((f) => [f.name, f.text]))).toMatchObject({
    Rule: 'all, kept 30 days',
    Version: expect.stringContaining('things '),
    Run: run.runId,
    Batch: '1, of 1 row',
    'Started by': 'the schedule (cron)',
    'Held then': 'no: no batch takes a row that is held',
    Receipt: '✓ in the chain, entry 1',
    'Can it come back': expect.stringContaining('only from a backup'),
  });
  expect(await isLineage(id)).toBe('absent');
});

it('finds the same in the index of receipts as before it was made', async () => {
  const [gone, also] = await things(e.db, [40 * DAY, 41 * DAY]);
  await e.run(policy);
  const before = await of(gone);
  expect(await indexReceipts(e.services, () => true)).toBe(1);
  expect(await indexReceipts(e.services, () => true)).toBe(0);
  // Only the index leads there now.
  expect(
    await e.db.sql('select count(*)::int as n from retention.run where indexed_at is null and batches > 0'),
  ).toEqual([{ n: 0 }]);
  expect((await of(gone)).found).toEqual(before.found);
  expect((await of(also!.toUpperCase())).found).toHaveLength(1);
  expect((await of(randomUUID())).found).toEqual([]);
  await isLineage(gone!);
});

it('names a receipt that is not what was written', async () => {
  const id = await one(40 * DAY);
  await e.run(policy);
  await e.db.sql(`alter table retention.receipt disable trigger user`);
  await e.db.sql(`update retention.receipt set actor = 'nobody'`);
  expect((await words(id))[0]?.facts.find((f) => f.name === 'Receipt')?.text).toContain(
    'NOT what was written',
  );
  await e.db.sql(`update retention.receipt set hash = retention.receipt_hash(receipt)`);
  expect((await words(id))[0]?.facts.find((f) => f.name === 'Receipt')?.text).toContain(
    'NOT as it was sealed',
  );
});

it('says of what is held by whom, when and for which case, and lists every other reason', async () => {
  const id = await one(40 * DAY);
  const table = 'public.things';
  await act(e.services, 'alice', {
    action: 'hold.place',
    scope: 'item',
    subject: id,
    table,
    reason: 'Acme v. us',
  });
  const keepUntil = new Date(NOW.getTime() + DAY * 1000).toISOString();
  await act(e.services, 'bob', { action: 'extension.set', table, key: id, keepUntil, reason: 'asked' });
  await act(e.services, 'alice', { action: 'policy.pause', policy: 'things', reason: 'legal asks' });
  const [said] = await words(id);
  expect(said).toMatchObject({ kind: 'kept', headline: 'Still here' });
  expect(said?.sentence).toMatch(
    /^Row .* is still here\. Past its date since 19 Feb 2026, 02:00:00 UTC\. A legal hold keeps it: "Acme v\. us", placed by alice on .* UTC, on this row \(hold [0-9a-f-]{36}\)\.$/,
  );
  const also = said?.facts.filter((f) => f.name === 'Also').map((f) => f.text);
  expect(also?.[0]).toContain('Its retention was extended until 2 Mar 2026, 02:00:00 UTC by bob: "asked".');
  expect(also?.[1]).toMatch(/^The policy was paused by alice on .* UTC: "legal asks"\.$/);
  expect(await isLineage(id)).toBe('held');
});

it('says of a hold that had ended before the row went', async () => {
  const id = await one(40 * DAY);
  const table = 'public.things';
  const { body } = await act(e.services, 'alice', {
    ...{ action: 'hold.place', scope: 'item', subject: id, table, reason: 'Acme' },
  });
  await act(e.services, 'bob', {
    action: 'hold.release',
    id: (body.holds as { id: string }[])[0]!.id,
    reason: 'settled',
  });
  await e.run(policy);
  expect((await words(id))[0]?.facts.find((f) => f.name === 'Held then')?.text).toMatch(
    /^no: .*; a hold of alice on it \("Acme"\) had ended on .* UTC$/,
  );
});

it('says of an erasure that waits before anything else', async () => {
  const id = await one(40 * DAY);
  const person = randomUUID();
  await e.db.sql('update things set person = $1::uuid where id = $2::uuid', [person, id]);
  await act(e.services, 'alice', { action: 'hold.place', scope: 'user', subject: person, reason: 'case' });
  await e.db.sql(
    `insert into retention.erasure (scope, subject, reason, requested_by, requested_at, state) values ('user', $1, 'asked', 'alice', $2::timestamptz, 'requested')`,
    [person, NOW.toISOString()],
  );
  expect((await of(id)).found[0]?.here[0]?.reasons.map((r) => r.why)).toEqual(['erasing', 'held']);
  expect((await words(id))[0]?.sentence).toContain('waits for a second operator');
});

it('says when a row goes, unless it is held or extended', async () => {
  const id = await one(10 * DAY);
  const [said] = await words(id);
  expect(said).toMatchObject({ kind: 'going', headline: 'Due on 22 Mar 2026, 02:00:00 UTC' });
  expect(said?.sentence).toContain('kept until 21 Mar 2026, 02:00:00 UTC');
  expect(said?.sentence).toContain('unless it is held or extended');
  expect(await isLineage(id)).toBe('not_expired');
  expect(await words(await one(40 * DAY))).toMatchObject([{ headline: 'Goes with the next run' }]);
});

it('names a guard stop, a row without a date, a rule that keeps forever, a dead letter', async () => {
  await aged(e, 40, 60, 30);
  await e.analyze();
  const id = await one(70 * DAY);
  await e.run(policy);
  expect((await words(id))[0]?.sentence).toMatch(/The last run, of .* UTC, was stopped by a guard rail/);
  expect(await isLineage(id)).toBe('guarded');
  const dateless = await one(null);
  expect((await words(dateless))[0]?.sentence).toContain('has no date, so it is never deleted');
  expect(await isLineage(dateless)).toBe('no_clock');
  const always = [thingsPolicy({ rules: [{ label: 'all', keepFor: forever() }] })];
  expect(await isLineage(id, always)).toBe('for_ever');
  await e.db.sql(
    `insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at)
    values ('things', 'public.things', $1, '23503', $2::timestamptz)`,
    [id, ago(-DAY)],
  );
  expect((await of(id)).found[0]?.here[0]?.reasons.map((r) => r.why)).toEqual(['guarded', 'dead_letter']);
});

it('names a tier that is kept without end, and an organization that was not told', async () => {
  await e.db.sql(
    `create table orgs (id uuid primary key default gen_random_uuid(), plan text, mail text); grant select on orgs to lapse_app`,
  );
  const [org] = await e.db.sql<{ id: string }>("insert into orgs (plan) values ('pro') returning id");
  const id = await one(100 * DAY);
  await e.db.sql('update things set org = $1::uuid', [org!.id]);
  const tenants = {
    ...{ table: { name: 'orgs' }, key: { column: 'id', type: 'uuid' }, column: 'org', label: 'o.plan' },
  };
  const kept = [thingsPolicy({ rules: [{ label: 'pro', keepFor: forever() }], tenants })];
  expect((await words(id, kept))[0]?.sentence).toContain('Its rule keeps forever.');
  const notice = { thresholdsDays: [7], requiredDays: 7, to: { address: 'mail' }, called: 'things' };
  const told = [thingsPolicy({ rules: [{ label: 'pro', keepFor: days(90) }], tenants, notice })];
  expect((await words(id, told))[0]?.sentence).toContain('its organization was not told of it in time');
  expect(await isLineage(id, told)).toBe('unnoticed');
});

it('lists every table that has such a key, and each receipt where it is gone', async () => {
  const pairs = await keyed(e.db, 'pairs', [['n', 'int8']]);
  const others = await keyed(e.db, 'others', [['n', 'int8']]);
  await e.db.sql('insert into pairs values (7)');
  await e.db.sql('insert into others values (7)');
  const all = [policy, pairs, others];
  await e.run(pairs);
  const answer = await of('7', all);
  expect(answer.found.map((f) => [f.table, f.present, f.deletions.length])).toEqual([
    ['public.pairs', false, 1],
    ['public.others', true, 0],
  ]);
  expect(answer.notItsKey).toEqual(['public.things']);
  expect((await of('7', all, 'public.others')).found.map((f) => f.table)).toEqual(['public.others']);
});

it('takes a key of several columns as a JSON array', async () => {
  const pairs = await keyed(e.db, 'pairs', [
    ['n', 'int8'],
    ['x', 'numeric'],
  ]);
  await e.db.sql('insert into pairs values (7, 1.50)');
  await e.run(pairs);
  expect((await of('[7, 1.50]', [policy, pairs])).found).toMatchObject([
    { table: 'public.pairs', key: '["7", "1.50"]', deletions: [{ policy: pairs.name }] },
  ]);
});

it('says of an id nobody knows which tables were asked and how old the oldest receipt is', async () => {
  const never = randomUUID();
  expect(await words(never)).toMatchObject([
    {
      headline: 'Not here, and in no receipt',
      facts: [
        { name: 'Asked', text: 'public.things' },
        { name: 'Receipts go back to', text: 'there is none yet' },
      ],
    },
  ]);
  await one(40 * DAY);
  await e.run(policy);
  expect(answerAsText(await of(never))).toMatch(/Receipts go back to: \d+ \w+ \d{4}, /);
  expect(await words('no uuid')).toMatchObject([
    { facts: [{ text: 'no table: none has such a key' }, {}, {}] },
  ]);
});

it('refuses a table that nobody knows, and what no key can hold, naming the field', async () => {
  await expect(of('x', [policy], 'public.users')).rejects.toMatchObject({ status: 404, field: 'table' });
  await expect(of('\u200b')).rejects.toMatchObject({ status: 422, field: 'id' });
});
