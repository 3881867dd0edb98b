/** Receipts of every form a version of Lapse has written, in one chain: verified, explained and told apart. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { explainRow } from '@/lib/operators/audit/explain-row';
import { verify } from '@/lib/operators/audit/verify';
import type { Policy } from '@/lib/policies/contract';
import { DAY, govern, receipted, things } from '@/test/support/engine';
import { type Guarded, guarded } from '@/test/support/guarded';
import { keyed } from '@/test/support/keyed';

let e: Guarded;
let policy: Policy;
beforeEach(async () => {
  e = await guarded();
  policy = await govern(e.db);
  e = { ...e, services: { ...e.services, policies: [policy] } };
});
afterEach(() => e.stop());

/** As the version of that migration hashed a receipt, under another name: the form they had then is the oracle. */
async function asHashedThen(): Promise<void> {
  const text = readFileSync('lib/migrations/retention/0010_partitions.sql', 'utf8');
  const begin = text.indexOf('create or replace function retention.receipt_hash');
  const then = text.slice(begin, text.indexOf('$$;', begin) + 3);
  await e.db.sql(then.replace('retention.receipt_hash', 'retention.hash_of_then'));
}

/** A finished run of an older version, one receipt of two keys, hashed and sealed as it was then. */
async function oldRun(form: 1 | 2, column: 'keys' | 'uuid_keys', keys: readonly string[]): Promise<string> {
  const run = randomUUID();
  await e.db.sql("insert into retention.policy_state (policy) values ('things') on conflict do nothing");
  await e.db.sql(
    `insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of, started_at, finished_at,
       outcome, batches, deleted, by_rule)
     values ($1, 'things', 'delete', 'cron', 'cron', 'c', 1, 'v0', now(), now(), now(), 'succeeded', 1, 2, '{"all": {"deleted": 2, "bytes": 0}}')`,
    [run],
  );
  await e.db.sql(
    `insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, form, ${column}, by_rule,
       locked, deleted, picked)
     values ($1, 1, 'things', 'v0', 'delete', 'cron', 'retention', now(), 'public.things', $2, $3, '{"all": {"deleted": 2, "bytes": 0}}', 2, 2, 2)`,
    [run, form, keys],
  );
  await e.db.sql(
    `begin; set local session_replication_role = replica; update retention.receipt c
       set hash = (select retention.hash_of_then(x) from retention.receipt x where x.id = c.id) where run = '${run}'; commit`,
  );
  await e.db.sql('select retention.seal_run($1)', [run]);
  return run;
}

describe('a chain with receipts of every form', () => {
  const old = {
    text1: [randomUUID(), 'ünïcode "key"'],
    uuid2: [randomUUID(), randomUUID()],
    text2: ['a', 'b'],
  };
  let now: string[];
  beforeEach(async () => {
    await asHashedThen();
    await oldRun(1, 'keys', old.text1);
    await oldRun(2, 'uuid_keys', old.uuid2);
    await oldRun(2, 'keys', old.text2);
    now = await things(
      e.db,
      [40, 41, 42].map((d) => d * DAY),
    );
    await e.run(policy);
  });

  it('verifies, and names every key', async () => {
    expect(await e.db.sql('select form, seq from retention.receipt order by id')).toEqual(
      [1, 2, 2, 3].map((form) => ({ form, seq: 1 })),
    );
    expect(await verify(e.services.database)).toMatchObject({ ok: true, runs: 4, receipts: 4 });
    const keys = [...old.text1, ...old.uuid2, ...old.text2, ...now];
    expect([...(await receipted(e.db)).keys()].sort()).toEqual(keys.sort());
  });

  it('answers for a key whatever the form', async () => {
    for (const key of [old.text1[0]!, ...old.uuid2, ...now]) {
      expect((await explainRow(e.services, 'public.things', key)).deletions, key).toHaveLength(1);
    }
    expect((await explainRow(e.services, 'public.things', randomUUID())).deletions).toEqual([]);
  });

  it('keeps the hash of those that were written before', async () => {
    const changed = await e.db.sql(
      'select form from retention.receipt c where form < 3 and (hash <> retention.receipt_hash(c) or hash <> retention.hash_of_then(c))',
    );
    expect(changed).toEqual([]);
  });
});

it('the bytes of an older form are no receipt of form 3 under the same hash', async () => {
  await asHashedThen();
  // Three uuids make an array of 80 bytes in its binary form: as many as five keys.
  await oldRun(
    2,
    'uuid_keys',
    [1, 2, 3].map(() => randomUUID()),
  );
  await e.db.sql(
    `begin; set local session_replication_role = replica;
     update retention.receipt set form = 3, key_bytes = array_send(uuid_keys), uuid_keys = null; commit`,
  );
  const { problems } = await verify(e.services.database);
  expect(problems.map((p) => p.message).join()).toContain('its hash does not fit');
  expect(await e.db.sql('select hash = retention.receipt_hash(c) as same from retention.receipt c')).toEqual([
    { same: false },
  ]);
});

describe('a key is found in the bytes', () => {
  const names = async (keys: readonly string[], key: string) =>
    (
      await e.db.sql(
        `select retention.names_uuid((select string_agg(uuid_send(k), ''::bytea order by n) from unnest($1::uuid[]) with ordinality x(k, n)), $2) as yes`,
        [keys, key],
      )
    )[0]?.yes;
  const A = '11111111-1111-1111-1111-000000000000';
  const B = '00000000-0000-0000-0000-222222222222';
  /** Its bytes stand across the border of A and B, ten from the one and six from the other. */
  const across = '11110000-0000-0000-0000-000000000000';

  it('where one begins, and not across two of them', async () => {
    expect(await names([A, B], A)).toBe(true);
    expect(await names([A, B], B)).toBe(true);
    expect(await names([A, B], across)).toBe(false);
    expect(await names([A, B, across], across)).toBe(true);
    expect(await names([], A)).toBe(null);
  });

  it('wherever it stands, and as keys_of names it', async () => {
    const keys = Array.from({ length: 40 }, () => randomUUID() as string);
    for (const key of keys) expect(await names(keys, key)).toBe(true);
    expect(await names(keys, randomUUID())).toBe(false);
    const listed = await e.db.sql(
      `select retention.uuids_of((select string_agg(uuid_send(k), ''::bytea order by n) from unnest($1::uuid[]) with ordinality x(k, n)))::text[] as keys`,
      [keys],
    );
    expect(listed).toEqual([{ keys }]);
  });
});

it('a batch takes no receipt whose bytes are not whole keys', async () => {
  const refusal = e.db
    .sql(
      `insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, form, key_bytes, locked, deleted, picked)
       values (gen_random_uuid(), 1, 'things', 'v', 'delete', 'cron', 'r', now(), 'public.things', 3, 'seventeen bytes..', 1, 1, 1)`,
    )
    .then(
      () => 'taken',
      (error: { code: string }) => error.code,
    );
  expect(await refusal).toBe('23514');
});

it('a key of text or of several columns stays text, under the form of before', async () => {
  const texts = await keyed(e.db, 'texts', [['id', 'text']]);
  const pairs = await keyed(e.db, 'pairs', [
    ['a', 'uuid'],
    ['b', 'int'],
  ]);
  await e.db.sql(
    "insert into texts (id) values ('x'); insert into pairs (a, b) values (gen_random_uuid(), 7)",
  );
  for (const of of [texts, pairs])
    expect(await e.run(of)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  expect(await e.db.sql('select distinct form, key_bytes from retention.receipt')).toEqual([
    { form: 2, key_bytes: null },
  ]);
  expect(await verify(e.services.database)).toMatchObject({ ok: true, receipts: 2 });
});
