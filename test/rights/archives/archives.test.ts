/** Archives end: by their period, by an erasure, or because no receipt names them; and what is held stays. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { validateArchive } from '@/lib/files/archive/validate';
import { erasureRoute } from '@/lib/http/erasure-route';
import { restoreRoute } from '@/lib/http/restore-route';
import { days } from '@/lib/policies/contract';
import { rewriteArchives } from '@/lib/rights/archives/rewrite';
import { keepArchives, recordsJob } from '@/lib/rights/archives/upkeep';
import { type Archived, archivedFiles } from '../../support/archived';
import { databaseClock } from '../../support/engine';
import { suffixed } from '../../support/files';
import { OPERATORS, postAs } from '../../support/operators';

let e: Archived;
beforeEach(async () => {
  e = await archivedFiles({ env: { LAPSE_OPERATORS: OPERATORS } });
  await e.db.sql('grant select, insert on pictures, notes to lapse_operator');
});
afterEach(() => e?.stop());

const ORG = '00000000-0000-4000-8000-00000000000a';
const [ANNA, BERT] = ['00000000-0000-4000-8000-0000000000b1', '00000000-0000-4000-8000-0000000000b2'];
const always = () => true;
const DAY = 86_400_000;

/** Two pictures of Anna and one of Bert, each with a file, and a note of Bert on Anna's first. */
async function archivedRun(): Promise<{ run: string; ids: string[] }> {
  const named = [1, 2, 3].map((n) => suffixed(n));
  await e.upload(...named);
  const ids = await e.rows(
    named.map((file, i) => ({ age: 40, file, org: ORG, person: i < 2 ? ANNA : BERT, bytes: i })),
  );
  await e.db.sql(
    `insert into notes (picture, person, words) values ($1, $2, 'by Bert'), ($1, $3, 'by Anna')`,
    [ids[0], BERT, ANNA],
  );
  const { runId, message } = await e.runNow();
  expect(runId, message).not.toBeNull();
  e.pass(60);
  await e.drain();
  return { run: runId!, ids };
}
const restore = (body: object) =>
  postAs(
    'alice',
    restoreRoute(() => e.services),
    body,
  );
const erase = (user: string) =>
  postAs(
    'alice',
    erasureRoute(() => e.services),
    { user },
  );
const later = async (ms: number) => databaseClock(e.db, new Date(Date.now() + ms));
/** What the certificate of the last erasure says of archives. */
const certified = async () => {
  const [row] = await e.db.sql<{ certificate: string }>(
    'select certificate from retention.erasure order by finished_at desc limit 1',
  );
  return (JSON.parse(row!.certificate) as { archives: object }).archives;
};
const states = async () => (await e.archives()).map((a) => a.state);

describe('an archive whose period is over', () => {
  it('expires with all its files, through the outbox, and the chain says so', async () => {
    const { run } = await archivedRun();
    expect(await keepArchives(e.services, always)).toEqual({ expired: 0, discarded: 0, rewritten: 0 });
    await later(366 * DAY);
    expect(await keepArchives(e.services, always)).toMatchObject({ expired: 1 });
    expect(await states()).toEqual(['expired']);
    e.pass(3_700);
    await e.drain();
    expect(e.stored('archives/')).toEqual([]);
    expect((await restore({ run })).body).toMatchObject({ error: { code: 'archive_expired' } });
    expect(
      await e.db.sql(
        "select actor, detail ->> 'archives' as n from retention.audit_entry where action = 'archives.expired'",
      ),
    ).toEqual([{ actor: 'own-records', n: '1' }]);
  });

  it.each([
    ['its organization', () => ['organization', ORG, null]],
    ['a user of a row that went along', () => ['user', BERT, null]],
    ['a row in it', (ids: string[]) => ['item', ids[0], 'public.pictures']],
    ['a row that went along', () => ['item', '1', 'public.notes']],
  ] as const)('stays while %s is held, and goes when it is released', async (_, hold) => {
    const { ids } = await archivedRun();
    const [placed] = await e.db.sql<{ subject: string }>(
      `select subject from retention.place_hold('anna', 'a case', $1, $2, $3)`,
      [...hold(ids)],
    );
    await later(366 * DAY);
    expect(await keepArchives(e.services, always)).toMatchObject({ expired: 0 });
    await e.db.sql(`select retention.release_hold('bert', 'over', $1::uuid)`, [placed!.subject]);
    expect(await keepArchives(e.services, always)).toMatchObject({ expired: 1 });
    // Held again before the store was asked: its files stay.
    await e.db.sql(`select retention.place_hold('anna', 'another case', $1, $2, $3)`, [...hold(ids)]);
    const before = e.stored('archives/').length;
    e.pass(3_700);
    expect(await e.drain()).toMatchObject({ outcome: 'succeeded', held: before });
    expect(e.stored('archives/')).toHaveLength(before);
  });

  it('stays while everything is stopped, or its policy paused', async () => {
    await archivedRun();
    await later(366 * DAY);
    await e.db.sql(`select retention.stop_all('anna', 'a question')`);
    expect(await keepArchives(e.services, always)).toMatchObject({ expired: 0 });
    await e.db.sql(`select retention.resume_all('bert', 'answered')`);
    await e.db.sql(`select retention.pause_policy('anna', 'a question', 'pictures')`);
    expect(await keepArchives(e.services, always)).toMatchObject({ expired: 0 });
  });
});

describe('an archive that no receipt names', () => {
  it('is discarded with what was written of it, an hour later and not while its run lasts', async () => {
    await e.upload(suffixed(1));
    await e.rows([{ age: 40, file: suffixed(1), org: ORG }]);
    e.cloud.setFaults(({ service, path }) =>
      service === 'blob' && path.includes('manifest')
        ? { kind: 'refuse', status: 403, code: 'forbidden' }
        : undefined,
    );
    expect(await e.runNow()).toMatchObject({ outcome: 'errored', deleted: 0 });
    e.cloud.setFaults(undefined);
    expect(await states()).toEqual(['open']);
    expect(e.stored('archives/').length).toBeGreaterThan(0);
    expect(await keepArchives(e.services, always)).toMatchObject({ discarded: 0 });
    await later(2 * 3_600_000);
    expect(await keepArchives(e.services, always)).toMatchObject({ discarded: 1 });
    expect(await states()).toEqual(['discarded']);
    e.pass(3_700);
    await e.drain();
    expect(e.stored('archives/')).toEqual([]);
    expect(e.stored('pictures/')).toHaveLength(1);
  });

  it('cannot be named any more, so that nothing is deleted under it', async () => {
    await e.rows([{ age: 40, file: null, org: ORG }]);
    let discarded = false;
    e.cloud.setFaults(({ service, method }) => {
      if (service === 'blob' && method === 'GET' && !discarded) {
        discarded = true;
        void e.db.sql(`update retention.archive set state = 'discarded'`);
      }
      return undefined;
    });
    expect(await e.runNow()).toMatchObject({ outcome: 'errored', deleted: 0 });
    expect(await e.db.sql('select count(*)::int as n from pictures')).toEqual([{ n: 1 }]);
  });
});

describe('an erasure', () => {
  it('reaches archives: what is the person’s never comes back, and what is others’ does', async () => {
    const { run, ids } = await archivedRun();
    expect((await erase(ANNA)).body).toMatchObject({ outcome: 'succeeded', archived: 3 });
    expect((await restore({ run })).body).toMatchObject({ outcome: 'succeeded', counts: { restored: 1 } });
    expect(await e.db.sql('select id, person from pictures')).toEqual([{ id: ids[2], person: BERT }]);
    // The note of Bert went with a picture of Anna's.
    expect(await e.db.sql('select words from notes')).toEqual([]);
  });

  it('writes the archive anew, without rows and files of the person, and names them nowhere', async () => {
    await archivedRun();
    const { body } = await erase(ANNA);
    expect(body).toMatchObject({
      message: expect.stringMatching(/rows of 1 archives; nothing of the subject is left/),
    });
    expect(await certified()).toEqual({ count: 1, rowsLeft: 0 });
    e.pass(3_700);
    await e.drain();
    const [archive] = await e.db.sql<Record<string, string>>(
      'select prefix, manifest_sha256 from retention.archive',
    );
    const manifest = await validateArchive(e.store, archive!.prefix!, archive!.manifest_sha256!);
    expect(manifest.tables.map((t) => t.rows)).toEqual([1, 0]);
    expect(manifest.files.map((f) => f.from)).toEqual([suffixed(3)]);
    expect(e.stored('archives/').every((p) => p.startsWith(archive!.prefix!))).toBe(true);
    const named = JSON.stringify(await e.db.sql('select * from retention.archive_subject'));
    expect(named).not.toContain(ANNA);
    expect(
      await e.db.sql(
        "select detail - 'sha256' - 'was' as d from retention.audit_entry where action = 'archive.rewritten'",
      ),
    ).toEqual([{ d: { policy: 'pictures', rows: 2, dependants: 2 } }]);
  });

  it('leaves an archive as it is until the share of erased rows is what the policy says, or two weeks are over', async () => {
    const policy = {
      ...e.policy,
      strategy: { kind: 'archive' as const, keepFor: days(365), files: 'move' as const, rewriteAt: 0.9 },
    };
    Object.assign(e.services, { policies: [policy] });
    const { run } = await archivedRun();
    const { body } = await erase(BERT);
    // Not more is said than is so.
    expect(body).toMatchObject({
      message: expect.stringContaining(
        'nothing of the subject is left but 2 rows in archives, which no restore brings back',
      ),
    });
    expect(await certified()).toEqual({ count: 1, rowsLeft: 2 });
    const before = e.stored('archives/');
    expect(await rewriteArchives(e.services, always)).toBe(0);
    expect(e.stored('archives/')).toEqual(before);
    expect((await restore({ run, dryRun: true })).body).toMatchObject({ counts: { erased: 2, restored: 3 } });
    await later(15 * DAY);
    expect(await rewriteArchives(e.services, always)).toBe(1);
  });

  it('waits for a hold on the person, and other holds only keep the archive from being written anew', async () => {
    await archivedRun();
    await e.db.sql(`select retention.place_hold('anna', 'a case', 'user', $1, null)`, [BERT]);
    expect((await erase(BERT)).body).toMatchObject({ outcome: 'interrupted', kept: 2 });
    expect((await erase(ANNA)).body).toMatchObject({ outcome: 'succeeded', archived: 3 });
    expect(await rewriteArchives(e.services, always)).toBe(0);
    expect(await e.db.sql('select generation from retention.archive')).toEqual([{ generation: 1 }]);
  });

  it('between reading and writing stops a restore, so that no erased row comes back', async () => {
    const { run } = await archivedRun();
    let entombed = false;
    e.cloud.setFaults(({ service, method }) => {
      if (service === 'blob' && method === 'GET' && !entombed) {
        entombed = true;
        void e.db.sql(`insert into retention.archive_subject (archive, scope, subject, rows, erased_at)
          select id, 'user', 'some hash', 1, now() from retention.archive`);
      }
      return undefined;
    });
    expect(await restore({ run })).toMatchObject({ status: 409, body: { error: { code: 'changed' } } });
    expect(await e.db.sql('select 1 from pictures')).toEqual([]);
  });

  it('is not undone by an archive that is damaged: it is left, and no row of it is believed', async () => {
    await archivedRun();
    const [path] = e.stored('archives/').filter((p) => p.includes('.jsonl'));
    await e.cloud.blob.delete([path!]);
    expect((await erase(ANNA)).body).toMatchObject({ outcome: 'succeeded' });
    expect(await e.db.sql('select generation from retention.archive')).toEqual([{ generation: 1 }]);
  });

  it('takes up what a rewriting that was stopped left behind', async () => {
    const { run } = await archivedRun();
    const [archive] = await e.archives();
    await e.cloud.blob.put(`${archive!.prefix}g2/stale`, Buffer.from('x'), { access: 'private' });
    await erase(ANNA);
    expect(e.stored(`${archive!.prefix}g2/`).some((p) => p.endsWith('stale'))).toBe(false);
    expect((await restore({ run })).body).toMatchObject({ counts: { restored: 1, files_restored: 1 } });
  });
});

it('the daily look does all of it beside the own records, and nothing in a dry run or without time or store', async () => {
  await archivedRun();
  await later(366 * DAY);
  const request = {
    correlationId: 'test',
    deadline: new Date(e.now().getTime() + 240_000),
    trigger: 'cron' as const,
    dryRun: true,
  };
  expect(await recordsJob(e.services, request)).toMatchObject({ archives: null });
  expect(await keepArchives(e.services, () => false)).toEqual({ expired: 0, discarded: 0, rewritten: 0 });
  expect(await keepArchives({ ...e.services, blob: undefined }, () => false)).toMatchObject({ discarded: 0 });
  expect(await rewriteArchives({ ...e.services, blob: undefined }, always)).toBe(0);
  expect(await recordsJob(e.services, { ...request, dryRun: false })).toMatchObject({
    outcome: 'succeeded',
    archives: { expired: 1 },
  });
});
