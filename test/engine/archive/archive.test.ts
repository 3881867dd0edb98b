/** Archive before delete: nothing goes that has not been archived as it is, and read back. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { linesOf } from '@/lib/files/archive/read';
import { validateArchive } from '@/lib/files/archive/validate';
import type { Policy } from '@/lib/policies/contract';
import { treeOf } from '@/lib/policies/tree';
import { type Archived, archivedFiles } from '../../support/archived';
import { runRequest } from '../../support/engine';
import { suffixed } from '../../support/files';

let e: Archived;
beforeEach(async () => {
  e = await archivedFiles();
});
afterEach(() => e?.stop());

const ORG = '00000000-0000-4000-8000-00000000000a';
const PERSON = '00000000-0000-4000-8000-00000000000b';

/** `n` pictures past their period, each with its file and two notes, one of which names a file. */
async function pictures(n: number): Promise<string[]> {
  const named = Array.from({ length: n }, (_, i) => suffixed(i));
  const notes = Array.from({ length: n }, (_, i) => suffixed(i, 'notes'));
  await e.upload(...named, ...notes);
  const ids = await e.rows(named.map((file) => ({ age: 40, file, org: ORG, person: PERSON })));
  await e.db.sql(
    `insert into notes (picture, person, words, file) select p, $2, 'a "note" with ünï ' || n, case when n = 1 then f end
     from unnest($1::uuid[], $3::text[]) x(p, f) cross join generate_series(1, 2) n`,
    [ids, PERSON, notes],
  );
  return ids;
}
const archiveOf = async (): Promise<{ prefix: string; manifest_sha256: string }> =>
  (
    await e.db.sql<{ prefix: string; manifest_sha256: string }>(
      'select prefix, manifest_sha256 from retention.archive where manifest_sha256 is not null order by seq',
    )
  )[0]!;

it('writes rows, what goes along and files into the private store before any of it is deleted', async () => {
  const ids = await pictures(3);
  expect(await e.runNow()).toMatchObject({ outcome: 'succeeded', deleted: 3, dependantsDeleted: 6 });
  expect(await e.archives()).toMatchObject([{ state: 'kept', rows: 3, dependants: 6, files: 6 }]);
  const { prefix, manifest_sha256 } = await archiveOf();
  const manifest = await validateArchive(e.store, prefix, manifest_sha256);
  expect(manifest.about).toMatchObject({ policy: 'pictures', seq: 1 });
  expect(manifest.tables.map((t) => [t.table, t.rows])).toEqual([
    ['public.pictures', 3],
    ['public.notes', 6],
  ]);
  const lines: { k: string; o: string; u: string; f: string[] }[] = [];
  for await (const line of linesOf(e.store, prefix, manifest.tables[0]!)) lines.push(JSON.parse(line));
  expect(lines.map((l) => l.k).sort()).toEqual([...ids].sort());
  expect(lines[0]).toMatchObject({ o: ORG, u: PERSON, f: [expect.stringContaining('pictures/')] });
  e.pass(60);
  await e.drain();
  // The originals went with their rows; the copies are in the archive.
  expect(e.stored('pictures/')).toEqual([]);
  expect(e.stored(`${prefix}files/`)).toHaveLength(6);
});

it('a row that a trigger keeps becomes a dead letter, and the others are archived and go', async () => {
  const ids = await pictures(3);
  await e.db.sql(`create function keeps() returns trigger language plpgsql as $$ begin
      return case when old.id = '${ids[1]}' then null else old end; end $$;
    create trigger keeps before delete on pictures for each row execute function keeps()`);
  const policy = { ...e.policy, knownTriggers: ['keeps'] };
  const done = await e.runNow(policy);
  expect(done, done.message).toMatchObject({ outcome: 'succeeded', deleted: 2, dependantsDeleted: 4 });
  expect(await e.db.sql('select row_key from retention.dead_letter')).toEqual([{ row_key: ids[1] }]);
  expect((await e.all()).notes).toHaveLength(2);
});

/** A trigger may keep notes, which the policy says. */
async function keepingNotes(foreignKey: boolean): Promise<Policy> {
  await e.db.sql(`create function keeps() returns trigger language plpgsql as $$ begin
      return case when old.words = 'stay' then null else old end; end $$;
    create trigger keeps before delete on notes for each row execute function keeps()`);
  const declared = { knownTriggers: ['keeps'], ...(foreignKey ? {} : { foreignKey: false as const }) };
  return { ...e.policy, dependants: e.policy.dependants.map((d) => ({ ...d, ...declared })) };
}

it.each(['cascade', 'no action', null])(
  'a row becomes a dead letter whose dependant a trigger keeps (foreign key: %s), and the others are archived and go',
  async (onDelete) => {
    const ids = await pictures(3);
    await e.db.sql('alter table notes drop constraint notes_picture_fkey');
    if (onDelete)
      await e.db.sql(`alter table notes add foreign key (picture) references pictures on delete ${onDelete}`);
    await e.db.sql(`update notes set words = 'stay' where picture = $1 and file is null`, [ids[1]]);
    const done = await e.runNow(await keepingNotes(onDelete !== null));
    expect(done, done.message).toMatchObject({ outcome: 'succeeded', deleted: 2, dependantsDeleted: 4 });
    expect(await e.db.sql('select row_key from retention.dead_letter')).toEqual([{ row_key: ids[1] }]);
    expect((await e.all()).notes).toHaveLength(2);
  },
);

it('names the archive in the receipt, and remembers whose rows it holds and until when', async () => {
  const ids = await pictures(2);
  await e.runNow();
  expect(
    await e.db.sql(`select a.state, a.keys, a.expires_at - a.created_at > interval '364 days' as long from retention.receipt c
      join retention.archive a on a.id = c.archive and a.run = c.run and a.seq = c.seq`),
  ).toEqual([{ state: 'kept', keys: expect.arrayContaining(ids), long: true }]);
  expect(
    await e.db.sql('select scope, subject, rows::int from retention.archive_subject order by 1'),
  ).toEqual([
    { scope: 'organization', subject: ORG, rows: 2 },
    { scope: 'user', subject: PERSON, rows: 6 },
  ]);
});

it('archives many batches, each of its own rows', async () => {
  await pictures(7);
  expect(await e.runNow(e.policy, { batchSize: 2 })).toMatchObject({ outcome: 'succeeded', deleted: 7 });
  expect((await e.archives()).map((a) => a.rows)).toEqual([2, 2, 2, 1]);
});

it.each([
  ['rows', '.jsonl'],
  ['manifest', 'manifest'],
  ['files', 'files/'],
])(
  'deletes nothing when the %s of an archive are damaged between writing and reading back',
  async (_, part) => {
    await pictures(2);
    const before = await e.all();
    const harmed = new Set<string>();
    e.cloud.setFaults(({ service, method }) => {
      const isRead = service === 'blob' && method === 'GET';
      for (const { pathname } of isRead ? e.cloud.blob.all('archives/') : [])
        if (pathname.includes(part) && !harmed.has(pathname)) void harm(harmed.add(pathname) && pathname);
      return undefined;
    });
    const result = await e.runNow();
    e.cloud.setFaults(undefined);
    expect(result).toMatchObject({ outcome: 'errored', reason: 'archive.damaged', deleted: 0 });
    expect(result.message).toContain('none of them was deleted');
    expect(await e.all()).toEqual(before);
    expect(e.stored('pictures/')).toHaveLength(2);
  },
);

it('deletes nothing when the store does not take the archive', async () => {
  await pictures(2);
  const before = await e.all();
  e.cloud.setFaults(({ service, method }) =>
    service === 'blob' && method === 'PUT'
      ? { kind: 'refuse', status: 503, code: 'service_unavailable' }
      : undefined,
  );
  expect(await e.runNow()).toMatchObject({ outcome: 'errored', reason: 'blob.transient', deleted: 0 });
  e.cloud.setFaults(undefined);
  expect(await e.all()).toEqual(before);
  // The next run archives and deletes as if nothing had been.
  expect(await e.runNow()).toMatchObject({ outcome: 'succeeded', deleted: 2 });
});

it('deletes nothing without a store', async () => {
  await pictures(1);
  const { blob: _, ...services } = e.services;
  const result = await runPolicy({ ...services, blob: undefined }, e.policy, runRequest(e.now()));
  expect(result).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 0 });
  expect(result.message).toContain('BLOB_READ_WRITE_TOKEN');
});

it('leaves a row that changes after it was read, and archives it anew', async () => {
  const [first] = await pictures(3);
  const result = await e.runWith(`update pictures set bytes = 77 where id = '${first}'`, { batchSize: 10 });
  expect(result).toMatchObject({ outcome: 'succeeded', deleted: 3, batches: 2 });
  const kept = await e.db.sql('select kept from retention.receipt order by seq');
  expect(kept[0]).toEqual({ kept: { changed: 1 } });
  expect((await e.archives()).map((a) => [a.state, a.rows])).toEqual([
    ['kept', 3],
    ['kept', 1],
  ]);
  // Only what was deleted under it can be restored from the first.
  expect(await e.db.sql('select cardinality(keys) as n from retention.archive order by seq')).toEqual([
    { n: 2 },
    { n: 1 },
  ]);
});

it.each([
  ['is changed', `update notes set words = 'other' where id = (select min(id) from notes)`],
  ['is added', `insert into notes (picture, words) select id, 'new' from pictures order by id limit 1`],
  ['is removed', 'delete from notes where id = (select min(id) from notes)'],
])('leaves a row whose dependant %s after it was read', async (_, change) => {
  await pictures(3);
  const result = await e.runWith(change, { batchSize: 10 });
  expect(result).toMatchObject({ outcome: 'succeeded', deleted: 3, batches: 2 });
  expect((await e.db.sql('select kept from retention.receipt order by seq'))[0]).toEqual({
    kept: { changed: 1 },
  });
  const deleted = await e.db.sql('select sum(dependants_deleted)::int as n from retention.receipt');
  expect(deleted).toEqual([{ n: change.startsWith('insert') ? 7 : change.startsWith('delete') ? 5 : 6 }]);
});

it('keeps a held row out of the archive, and counts it as held', async () => {
  const [first] = await pictures(2);
  await e.db.sql(`select retention.place_hold('anna', 'a case', 'item', $1, 'public.pictures')`, [first]);
  expect(await e.runNow()).toMatchObject({ outcome: 'succeeded', deleted: 1, kept: { held: 1 } });
  expect(await e.archives()).toMatchObject([{ rows: 1, state: 'kept' }]);
});

async function harm(path: string): Promise<void> {
  const body = Buffer.from(await e.cloud.blob.read(e.cloud.blob.head(path)!));
  body[body.length - 9]! ^= 1;
  await e.cloud.blob.put(path, body, { access: 'private', allowOverwrite: true });
}

it('deletes nothing that was not archived, whatever sends the batch', async () => {
  await pictures(2);
  // A batch as it would be without its archive: the pipeline's own way is closed.
  const { batch } = await import('@/lib/engine/statement/batch');
  const text = JSON.stringify(
    batch({
      policy: e.policy,
      version: 'v',
      runId: PERSON,
      fence: '1',
      seq: 1,
      leg: { kind: 'rule', rule: e.policy.rules[0]!, cutoff: new Date().toISOString() } as never,
      position: null,
      limit: 10,
      asOf: new Date().toISOString(),
      actor: 'cron',
      reason: 'retention',
      statementTimeoutMs: 1_000,
    }).queries.locked,
  );
  expect(text).toContain('and false');
});

it('takes no receipt of such a policy without an archive, and none of another batch', async () => {
  await pictures(1);
  const { runId } = await e.runNow();
  const copy = (columns: string) =>
    e.db.sql(`insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, form, keys, key_bytes,
        dependants, by_rule, locked, deleted, dependants_deleted, files, bytes, picked, kept, archive)
      select run, seq + 1, policy, policy_version, action, actor, ${columns}, as_of, table_name, form, keys, key_bytes,
        dependants, by_rule, locked, deleted, dependants_deleted, files, bytes, picked, kept, case when ${columns} = 'erasure' then null::uuid else null end
      from retention.receipt where run = '${runId}'`);
  await expect(copy(`'retention'`)).rejects.toThrow(/archives before it deletes/);
  await copy(`'erasure'`);
  await expect(
    e.db.sql(`insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, form, keys, key_bytes,
        dependants, by_rule, locked, deleted, dependants_deleted, files, bytes, picked, kept, archive)
      select run, seq + 2, policy, policy_version, action, actor, reason, as_of, table_name, form, keys, key_bytes,
        dependants, by_rule, locked, deleted, dependants_deleted, files, bytes, picked, kept, archive
      from retention.receipt where run = '${runId}' and archive is not null`),
  ).rejects.toThrow(/does not hold/);
});

/** Between the look at what goes along and the deletion no other request fits: the parts of the statements are asked alone. */
async function inTheMoment(policy: Policy, kept = 0) {
  const [first] = await pictures(2);
  const { sql } = await import('@/lib/platform/sql');
  const { unlikeAlong } = await import('@/lib/engine/statement/archived');
  const { batchOf } = await import('@/lib/engine/statement/request');
  const b = batchOf({
    policy,
    version: 'v',
    runId: PERSON,
    fence: '1',
    seq: 1,
    leg: { kind: 'rule', rule: e.policy.rules[0]!, cutoff: new Date().toISOString() } as never,
    position: null,
    limit: 10,
    asOf: new Date().toISOString(),
    actor: 'cron',
    reason: 'retention',
    statementTimeoutMs: 1_000,
    archived: {
      id: PERSON,
      facts: {},
      versions: { [first!]: '1' },
      rows: { n: [0, 1, 1], keys: [first!, '1', '2'], versions: ['1', '7', '7'] },
      below: { [first!]: 2 },
      isPart: false,
    },
  });
  const [, notes] = treeOf(policy).places;
  const shape = {
    along: [{ place: notes!, using: sql``, where: sql``, root: sql`` }],
    locked: sql`((select count(*) from locked) + ${String(kept)}::bigint)`,
  };
  const parts = unlikeAlong(b, shape).reduce((all, part) => sql`${all}, ${part}`);
  const session = await e.db.session();
  return {
    along: (rows: string) => {
      const query = sql`with locked as (select 1), gone as (select ${first!}::uuid as key), d0 as (select * from (values ${rows}) v(key, version)), ${parts} select n from unlike`;
      const text = query.text.replace('$2', rows);
      const values = query.values.filter((_, i) => i !== 1);
      return session.sql(
        text.replace(/\$(\d+)/g, (_, n: string) => (Number(n) > 2 ? `$${Number(n) - 1}` : `$${n}`)),
        values as unknown[],
      );
    },
    session,
  };
}

it('rolls back when what goes along changes in the very moment it goes, and leaves its row', async () => {
  const { along, session } = await inTheMoment(e.policy);
  expect(await along(`('1', '7'), ('2', '7')`)).toEqual([{ n: '0' }]);
  await expect(along(`('1', '7'), ('2', '8')`)).rejects.toMatchObject({ code: 'LP022' });
  await expect(along(`('1', '7')`)).rejects.toMatchObject({ code: 'LP022' });
  session.end();
});

it('rolls back, too, where a trigger might have kept it and has not', async () => {
  const policy = await keepingNotes(true);
  const { along, session } = await inTheMoment(policy);
  await expect(along(`('1', '7'), ('2', '8')`)).rejects.toMatchObject({ code: 'LP022' });
  await expect(along(`('1', '7')`)).rejects.toMatchObject({ code: 'LP022' });
  session.end();
  const one = await inTheMoment(policy, 1);
  // Which row it is the receipt finds out.
  expect(await one.along(`('1', '7')`)).toEqual([{ n: '0' }]);
  one.session.end();
});

it('reads rows that are too large together in parts, and refuses one that is too large alone', async () => {
  const ids = await pictures(2);
  await e.db.sql(`update notes set words = repeat('"', 1400000) where file is not null`);
  expect(await e.runNow()).toMatchObject({ outcome: 'succeeded', deleted: 2, dependantsDeleted: 4 });
  const [third] = await e.rows([{ age: 40, file: null, org: ORG }]);
  await e.db.sql(`insert into notes (picture, words) values ($1, repeat('x', 10000000))`, [third]);
  const result = await e.runNow();
  expect(result).toMatchObject({ outcome: 'errored', reason: 'archive.row_too_large', deleted: 0 });
  expect(result.message).toContain('too many to archive');
  expect(await e.db.sql('select count(*)::int as n from pictures')).toEqual([{ n: 1 }]);
  expect(ids).toHaveLength(2);
});

it('archives rows that nothing hangs on, batch by batch', async () => {
  await pictures(3);
  await e.db.sql('drop table notes');
  const alone: Policy = { ...e.policy, dependants: [] };
  expect(await e.runNow(alone, { batchSize: 2 })).toMatchObject({ outcome: 'succeeded', deleted: 3 });
  expect(await e.archives()).toMatchObject([
    { state: 'kept', rows: 2, dependants: 0, files: 2 },
    { state: 'kept', rows: 1, dependants: 0, files: 1 },
  ]);
});

it('deletes nothing under an archive that holds fewer rows than would go', async () => {
  await pictures(2);
  await e.db.sql(`create function fewer() returns trigger language plpgsql as $$ begin
      if new.rows > 0 and old.rows = 0 then new.rows := new.rows - 1; end if;
      return new;
    end $$;
    create trigger fewer before update on retention.archive for each row execute function fewer()`);
  expect(await e.runNow()).toMatchObject({ outcome: 'errored', deleted: 0 });
  expect(await e.db.sql('select count(*)::int as n from pictures')).toEqual([{ n: 2 }]);
});
