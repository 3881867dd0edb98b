/** What was archived comes back as it was: rows, what went along, and files; and nothing that is there is written over. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { restoreRoute } from '@/lib/http/restore-route';
import { indexReceipts } from '@/lib/operators/audit/receipt-index';
import { type Archived, archivedFiles } from '../../support/archived';
import { suffixed } from '../../support/files';
import { OPERATORS, TOKENS } from '../../support/operators';

let e: Archived;
beforeEach(async () => {
  e = await archivedFiles({ env: { LAPSE_OPERATORS: OPERATORS } });
  await e.db.sql('grant select, insert on pictures, notes to lapse_operator');
});
afterEach(() => e?.stop());

const ORG = '00000000-0000-4000-8000-00000000000a';
const OTHER = '00000000-0000-4000-8000-00000000000c';
const PERSON = '00000000-0000-4000-8000-00000000000b';

/** `n` pictures past their period with files and two notes each; every other one of another organization. */
async function pictures(n: number): Promise<string[]> {
  const named = Array.from({ length: n }, (_, i) => suffixed(i));
  const notes = Array.from({ length: n }, (_, i) => suffixed(i, 'notes'));
  await e.upload(...named, ...notes);
  const ids = await e.rows(
    named.map((file, i) => ({ age: 40, file, org: i % 2 ? OTHER : ORG, person: PERSON, bytes: i })),
  );
  await e.db.sql(
    `insert into notes (picture, person, words, file)
     select p, $2, E'a "note", with ünï\\n🧀 and \\\\ ' || n, case when n = 1 then f end
     from unnest($1::uuid[], $3::text[]) x(p, f) cross join generate_series(1, 2) n`,
    [ids, PERSON, notes],
  );
  return ids;
}

/** Archived, deleted, and their files gone from the store. */
async function gone(
  n: number,
): Promise<{ ids: string[]; before: Awaited<ReturnType<Archived['all']>>; run: string }> {
  const ids = await pictures(n);
  const before = await e.all();
  const result = await e.runNow();
  expect(result).toMatchObject({ outcome: 'succeeded', deleted: n });
  e.pass(60);
  await e.drain();
  expect(e.stored('pictures/')).toEqual([]);
  return { ids, before, run: result.runId! };
}

const ask = async (body: object, who: keyof typeof TOKENS = 'alice') => {
  const response = await restoreRoute(() => e.services).POST(
    new Request('https://lapse.test/api/restore', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKENS[who]}` },
      body: JSON.stringify({ reason: 'a customer asked', ...body }),
    }),
  );
  return { status: response.status, body: (await response.json()) as Record<string, never> };
};

describe('a run', () => {
  it('comes back byte for byte, with what went along and its files', async () => {
    const { before, run } = await gone(4);
    const answer = await ask({ run });
    expect(answer).toMatchObject({
      status: 200,
      body: { outcome: 'succeeded', counts: { restored: 12, conflict: 0, files_restored: 8 }, problems: [] },
    });
    expect(await e.all()).toEqual(before);
    expect(e.stored('pictures/')).toHaveLength(4);
    expect(e.stored('notes/')).toHaveLength(4);
    expect((await e.cloud.blob.read(e.cloud.blob.head(suffixed(1))!)).toString()).toBe('0123456789');
  });

  it('is not taken again by the next night, and the chain says who brought it back', async () => {
    const { ids, run } = await gone(2);
    await ask({ run });
    expect(await e.runNow()).toMatchObject({ deleted: 0, kept: { extended: 2 } });
    const entries = await e.db.sql<{ action: string; actor: string; subject: string }>(
      "select action, actor, subject from retention.audit_entry where action ~ 'restore' order by n",
    );
    expect(entries.map((x) => [x.action, x.actor])).toEqual([
      ['restore.requested', 'alice'],
      ['row.restored', 'alice'],
      ['row.restored', 'alice'],
      ['restore.done', 'alice'],
    ]);
    expect(entries.map((x) => x.subject)).toEqual(
      expect.arrayContaining(ids.map((id) => `public.pictures ${id}`)),
    );
  });

  it('is looked at first by a dry run, which writes nothing', async () => {
    const { before, run } = await gone(2);
    expect(await ask({ run, dryRun: true })).toMatchObject({
      status: 200,
      body: { mode: 'dry_run', id: null, counts: { restored: 6 } },
    });
    expect(await e.all()).not.toEqual(before);
    expect(await e.db.sql('select 1 from retention.restore union all select 1 from pictures')).toEqual([]);
  });

  it('comes back once, however often it is asked for', async () => {
    const { before, run } = await gone(2);
    await ask({ run });
    expect(await ask({ run })).toMatchObject({ body: { counts: { restored: 0, there: 6, files_there: 4 } } });
    expect(await e.all()).toEqual(before);
  });
});

describe('who may restore', () => {
  it('more than 500 rows wait for a second operator, and nothing is written before', async () => {
    await e.db.sql(
      `insert into pictures (at, org) select now() - interval '40 days', $1 from generate_series(1, 501)`,
      [ORG],
    );
    const { runId: run } = await e.runNow();
    const asked = await ask({ run });
    expect(asked).toMatchObject({ status: 202, body: { outcome: 'waiting' } });
    const { id } = asked.body;
    expect((await ask({ action: 'confirm', id })).status).toBe(409);
    expect((await ask({ action: 'resume', id, reason: undefined })).status).toBe(409);
    expect(await e.db.sql('select count(*)::int as n from pictures')).toEqual([{ n: 0 }]);
    expect(await ask({ action: 'confirm', id }, 'bob')).toMatchObject({
      status: 200,
      body: { outcome: 'succeeded', counts: { restored: 501 } },
    });
    expect(await e.db.sql('select count(*)::int as n from pictures')).toEqual([{ n: 501 }]);
  });

  it('an organization waits, can be withdrawn, and brings back its own rows only', async () => {
    const { ids } = await gone(4);
    const first = await ask({ organization: ORG });
    expect(first).toMatchObject({ status: 202, body: { archives: 1 } });
    expect(await ask({ action: 'withdraw', id: first.body.id })).toMatchObject({
      body: { state: 'withdrawn' },
    });
    expect((await ask({ action: 'confirm', id: first.body.id }, 'bob')).status).toBe(409);
    const { id } = (await ask({ organization: ORG })).body;
    await ask({ action: 'confirm', id }, 'bob');
    const back = await e.db.sql<{ id: string; org: string }>('select id, org from pictures order by bytes');
    expect(back).toEqual([
      { id: ids[0], org: ORG },
      { id: ids[2], org: ORG },
    ]);
  });

  it('without the right to fill the tables nothing is restored, and the answer says which to grant', async () => {
    const { run } = await gone(1);
    await e.db.sql('revoke insert on notes from lapse_operator');
    expect(await ask({ run })).toMatchObject({
      status: 409,
      body: {
        error: {
          code: 'no_right',
          message: expect.stringContaining('GRANT SELECT, INSERT ON public.notes TO lapse_operator;'),
        },
      },
    });
    expect(await e.db.sql('select 1 from pictures')).toEqual([]);
  });

  it('nor without the right to use their schema, and what the answer says to run is enough', async () => {
    const { before, run } = await gone(1);
    await e.db.sql(`revoke usage on schema public from public; revoke insert on notes from lapse_operator;
      grant usage on schema public to lapse_app`);
    const { status, body } = await ask({ run });
    expect(status).toBe(409);
    const { message } = body.error as unknown as { message: string };
    expect(message).toContain('As their owner: GRANT USAGE ON SCHEMA public TO lapse_operator; GRANT SELECT');
    await e.db.sql(message.slice(message.indexOf('GRANT')));
    expect(await ask({ run })).toMatchObject({ status: 200, body: { outcome: 'succeeded', problems: [] } });
    expect(await e.all()).toEqual(before);
  });
});

describe('an item', () => {
  it('comes back alone', async () => {
    const { ids, before } = await gone(3);
    expect(await ask({ key: ids[1], policy: 'pictures' })).toMatchObject({
      status: 200,
      body: { counts: { restored: 3, files_restored: 2 } },
    });
    const { pictures: rows, notes } = await e.all();
    expect(rows).toEqual(before.pictures.filter((r) => r.includes(ids[1]!)));
    expect(notes).toEqual(before.notes.filter((r) => r.includes(ids[1]!)));
  });

  it('is found by the index of receipts, and also when its receipt has been taken away after its period', async () => {
    const { ids } = await gone(3);
    const look = async () =>
      (await ask({ key: ids[1], policy: 'pictures', dryRun: true })).body as { counts?: object };
    expect((await look()).counts).toMatchObject({ restored: 3 });
    await indexReceipts(e.services, () => true);
    expect(await e.db.sql('select 1 from retention.receipt_index')).not.toEqual([]);
    expect((await look()).counts).toMatchObject({ restored: 3 });
    await e.db.sql(`set session_replication_role = replica; delete from retention.receipt_index; delete from retention.receipt;
      insert into retention.evidence_anchor (n, hash, entry_at, head, signature, public_key, receipts)
        values (1, 'h', now() + interval '1 year', '{}', 's', 'k', 1);
      set session_replication_role = origin`);
    expect((await look()).counts).toMatchObject({ restored: 3 });
  });

  it('that no archive holds is said so', async () => {
    expect(await ask({ key: PERSON, policy: 'pictures' })).toMatchObject({
      status: 404,
      body: { error: { code: 'not_archived' } },
    });
  });
});

describe('what is there', () => {
  it('is never written over: a row, a row that went along, a file', async () => {
    const { ids, run, before } = await gone(3);
    await e.db.sql('insert into pictures (id, at, bytes) values ($1, now(), 99) on conflict do nothing', [
      ids[0],
    ]);
    await e.cloud.blob.put(suffixed(1), Buffer.from('another'), { access: 'private' });
    const answer = await ask({ run });
    expect(answer.body).toMatchObject({
      counts: { restored: 6, conflict: 1, parent: 2, files_restored: 3, files_conflict: 1 },
    });
    expect(answer.body.problems).toHaveLength(4);
    expect((await e.cloud.blob.read(e.cloud.blob.head(suffixed(1))!)).toString()).toBe('another');
    expect((await e.db.sql('select bytes::int from pictures where id = $1', [ids[0]]))[0]).toEqual({
      bytes: 99,
    });
    expect((await e.all()).notes).toEqual(before.notes.filter((r) => !r.includes(ids[0]!)));
  });

  it('in another column that must be unique is a conflict, and the others come back', async () => {
    await e.db.sql('create unique index on pictures (bytes)');
    const { run } = await gone(3);
    await e.db.sql('insert into pictures (at, bytes) values (now(), 1)');
    expect((await ask({ run })).body).toMatchObject({ counts: { restored: 6, conflict: 1, parent: 2 } });
  });

  it('and would be changed by the table itself is not written', async () => {
    const { run } = await gone(1);
    await e.db.sql(`create function stamp() returns trigger language plpgsql as $$ begin new.at := now(); return new; end $$;
      create trigger stamp before insert on pictures for each row execute function stamp()`);
    expect((await ask({ run })).body).toMatchObject({ counts: { restored: 0, altered: 1, parent: 2 } });
    expect(await e.db.sql('select 1 from pictures')).toEqual([]);
  });
});

describe('columns that changed since', () => {
  it('are named: added, dropped, renamed, of another type', async () => {
    const { run, ids } = await gone(2);
    await e.db.sql(`alter table pictures add column extra text default 'new';
      alter table pictures drop column deleted_at;
      alter table pictures rename column person to owner;
      alter table pictures alter column bytes type numeric`);
    const answer = await ask({ run });
    expect(answer.body).toMatchObject({
      counts: { restored: 6 },
      schema: [
        {
          table: 'public.pictures',
          added: ['extra'],
          dropped: ['deleted_at'],
          renamed: { person: 'owner' },
          retyped: ['bytes'],
        },
      ],
    });
    expect(await e.db.sql('select id, owner, extra, bytes::int from pictures order by bytes')).toEqual(
      ids.map((id, i) => ({ id, owner: PERSON, extra: 'new', bytes: i })),
    );
  });

  it('and must be filled stop the restore before its first row', async () => {
    const { run } = await gone(1);
    await e.db.sql('alter table pictures add column title text not null');
    expect(await ask({ run })).toMatchObject({
      status: 409,
      body: { error: { code: 'columns_required', message: expect.stringContaining('pictures (title)') } },
    });
  });
});

it('a damaged archive restores nothing', async () => {
  const { run } = await gone(2);
  const [path] = e.stored('archives/').filter((p) => p.includes('.jsonl'));
  const body = Buffer.from(await e.cloud.blob.read(e.cloud.blob.head(path!)!));
  body[20]! ^= 1;
  await e.cloud.blob.put(path!, body, { access: 'private', allowOverwrite: true });
  expect(await ask({ run })).toMatchObject({
    status: 200,
    body: { outcome: 'interrupted', counts: { archives_damaged: 1 }, problems: [{ table: '(archive)' }] },
  });
  expect(await e.db.sql('select 1 from pictures')).toEqual([]);
});

it('an archive that is damaged keeps no other one back', async () => {
  await pictures(2);
  const before = await e.all();
  const { runId: run } = await e.runNow(e.policy, { batchSize: 1 });
  const [path] = e.stored('archives/').filter((p) => p.includes('.jsonl'));
  await e.cloud.blob.delete([path!]);
  expect((await ask({ run })).body).toMatchObject({ outcome: 'interrupted', counts: { restored: 3 } });
  const { pictures: rows } = await e.all();
  expect(before.pictures).toEqual(expect.arrayContaining(rows));
  expect(rows).toHaveLength(1);
});

describe('it refuses', () => {
  it.each([
    ['nothing named', {}, 400, 'bad_parameter'],
    ['two things named', { run: PERSON, organization: ORG }, 400, 'bad_parameter'],
    ['a key without its policy', { key: PERSON }, 400, 'bad_parameter'],
    ['a policy that is not there', { key: PERSON, policy: 'none' }, 404, 'unknown_policy'],
    ['a field it does not know', { run: PERSON, force: true }, 400, 'bad_parameter'],
    ['a run that archived nothing', { run: PERSON }, 404, 'not_archived'],
    ['to confirm what is not there', { action: 'confirm', id: PERSON }, 404, 'unknown'],
    [
      'to confirm without a reason',
      { action: 'confirm', id: PERSON, reason: undefined },
      400,
      'bad_parameter',
    ],
    ['to resume what is not there', { action: 'resume', id: PERSON, reason: undefined }, 404, 'unknown'],
    ['to withdraw what is not there', { action: 'withdraw', id: PERSON }, 404, 'unknown'],
  ])('%s', async (_, body, status, code) => {
    expect(await ask(body)).toMatchObject({ status, body: { error: { code } } });
  });

  it('what was archived under a policy that is not declared any more', async () => {
    const { run } = await gone(1);
    Object.assign(e.services, { policies: [] });
    expect(await ask({ run })).toMatchObject({ status: 422, body: { error: { code: 'unknown_policy' } } });
  });

  it('what is in an archive whose period is over', async () => {
    const { run } = await gone(1);
    await e.db.sql(`update retention.archive set state = 'expired'`);
    expect(await ask({ run })).toMatchObject({ status: 404, body: { error: { code: 'archive_expired' } } });
  });

  it('without a store', async () => {
    const { run } = await gone(1);
    Object.assign(e.services, { blob: undefined });
    expect(await ask({ run })).toMatchObject({ status: 409, body: { error: { code: 'no_store' } } });
  });

  it('anything but a dry run where only those are allowed', async () => {
    const { run } = await gone(1);
    Object.assign(e.services, {
      settings: { ...e.services.settings, dryRun: true, dryRunBecause: 'a preview' },
    });
    expect(await ask({ run })).toMatchObject({ body: { mode: 'dry_run' } });
    expect(await ask({ action: 'withdraw', id: PERSON })).toMatchObject({ status: 409 });
    expect(await e.db.sql('select 1 from pictures')).toEqual([]);
  });
});

describe('a restore that is stopped', () => {
  it('by its deadline continues where it was, archive by archive', async () => {
    await pictures(3);
    const before = await e.all();
    const { runId: run } = await e.runNow(e.policy, { batchSize: 1 });
    e.pass(60);
    await e.drain();
    let asked = 0;
    const clock = e.services.clock;
    // The clock jumps while the first archive is read.
    e.cloud.setFaults(({ service }) => {
      asked += Number(service === 'blob');
      return undefined;
    });
    Object.assign(e.services, { clock: () => new Date(clock().getTime() + (asked > 0 ? 290_000 : 0)) });
    const first = await ask({ run });
    expect(first.body).toMatchObject({ outcome: 'interrupted', counts: { restored: 3 } });
    e.cloud.setFaults(undefined);
    Object.assign(e.services, { clock });
    const { id } = first.body;
    expect((await ask({ action: 'resume', id, reason: undefined })).body).toMatchObject({
      outcome: 'succeeded',
      counts: { restored: 9, files_restored: 6 },
    });
    expect(await e.all()).toEqual(before);
    const list = await restoreRoute(() => e.services).GET(
      new Request('https://lapse.test/api/restore', { headers: { authorization: `Bearer ${TOKENS.alice}` } }),
    );
    expect(await list.json()).toMatchObject({
      restores: [{ id, state: 'done', requested_by: 'alice', counts: { restored: 9 } }],
    });
  });

  it('by a drain that is deleting its files right now waits for it', async () => {
    const { run } = await gone(1);
    await e.db.sql(`update retention.outbox set claimed_until = clock_timestamp() + interval '10 seconds'`);
    const first = await ask({ run });
    expect(first.body).toMatchObject({ outcome: 'interrupted', counts: { restored: 3 } });
    await e.db.sql('update retention.outbox set claimed_until = null');
    expect((await ask({ action: 'resume', id: first.body.id, reason: undefined })).body).toMatchObject({
      outcome: 'succeeded',
      counts: { there: 3, files_restored: 2 },
    });
  });
});

describe('rows that refer to each other', () => {
  it('come back whichever was written first into the archive', async () => {
    await e.db.sql('alter table notes add column reply_to bigint');
    await pictures(2);
    await e.db.sql(`update notes n set reply_to = (select max(id) from notes m where m.picture = n.picture)
      where id = (select min(id) from notes m where m.picture = n.picture)`);
    const before = await e.all();
    const { runId: run, message } = await e.runNow();
    expect(run, message).not.toBeNull();
    await e.db.sql('alter table notes add foreign key (reply_to) references notes (id)');
    expect((await ask({ run })).body).toMatchObject({ counts: { restored: 6, refused: 0 } });
    expect(await e.all()).toEqual(before);
  });

  it('to one that is not there any more are refused, and said so', async () => {
    await e.db.sql('create table owners (id uuid primary key); grant select on owners to lapse_app');
    await e.db.sql('insert into owners values ($1)', [PERSON]);
    await e.db.sql('alter table pictures add foreign key (person) references owners');
    const { run } = await gone(2);
    await e.db.sql('delete from owners');
    expect((await ask({ run })).body).toMatchObject({
      counts: { restored: 0, refused: 2, parent: 4 },
      problems: expect.arrayContaining([expect.objectContaining({ why: expect.stringContaining('23503') })]),
    });
  });
});

it('a row that was not deleted under it does not come back from an archive, although it stands there', async () => {
  const ids = await pictures(2);
  let changed = false;
  e.cloud.setFaults(({ service, path }) => {
    if (service === 'blob' && path.includes('manifest') && !changed) {
      changed = true;
      void e.db.sql('update pictures set at = now(), org = null where id = $1', [ids[0]]);
    }
    return undefined;
  });
  const { runId: run, deleted } = await e.runNow();
  e.cloud.setFaults(undefined);
  expect(deleted).toBe(1);
  // The application deletes it later, for a reason of its own.
  await e.db.sql('delete from pictures where id = $1', [ids[0]]);
  expect((await ask({ run })).body).toMatchObject({ counts: { restored: 3 } });
  expect(await e.db.sql('select id from pictures')).toEqual([{ id: ids[1] }]);
});
