import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { MOST_ATTEMPTS, settleFiles, WORK_SECONDS } from '@/lib/files/outbox';
import { type Files, files, suffixed } from '../support/files';

let f: Files;
afterEach(() => f?.stop());

const gone = (n: number, from = 0) =>
  Array.from({ length: n }, (_, i) => ({ age: 40, file: suffixed(from + i) }));

describe('the drain', () => {
  it('deletes the files of deleted rows, keeps all others, and confirms each', async () => {
    f = await files();
    await f.rows([
      ...gone(3),
      { age: 40, file: 'pictures/plain/a.png' },
      { age: 1, file: 'pictures/plain/b.png' },
      { age: 40, file: null },
    ]);
    await f.upload(
      suffixed(0),
      suffixed(1),
      suffixed(2),
      'pictures/plain/a.png',
      'pictures/plain/b.png',
      'pictures/plain/nobody.png',
    );
    const run = await f.runNow();
    expect(run).toMatchObject({ outcome: 'succeeded', deleted: 5, filesQueued: 4 });
    f.pass(1);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 4, bytesFreed: 40, open: 0 });
    expect(f.stored()).toEqual(['pictures/plain/b.png', 'pictures/plain/nobody.png']);
    expect(await f.entries()).toEqual({ deleted: 4 });
  });

  it('is done when there is nothing to do', async () => {
    f = await files();
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 0, calls: 0, pages: 0 });
  });

  it('touches nothing in a dry run', async () => {
    f = await files();
    await f.rows(gone(2));
    await f.upload(suffixed(0), suffixed(1));
    await f.runNow();
    f.pass(1);
    expect(await f.drain({ dryRun: true })).toMatchObject({
      outcome: 'skipped',
      reason: 'dry_run',
      open: 2,
      openBytes: 20,
    });
    expect(f.stored()).toHaveLength(2);
    expect(await f.entries()).toEqual({ pending: 2 });
  });

  it('touches nothing where the settings ask for a dry run, whatever it is asked', async () => {
    f = await files({ env: { CLEANUP_DRY_RUN: 'true' } });
    await f.upload(suffixed(0));
    await f.db.sql(
      `insert into retention.outbox (policy, table_name, row_key, url, prefix) values ('pictures', 'public.pictures', 'k', $1, 'pictures/')`,
      [suffixed(0)],
    );
    f.pass(1);
    expect(await f.drain({ dryRun: false })).toMatchObject({
      outcome: 'skipped',
      reason: 'dry_run',
      open: 1,
    });
    expect(f.stored()).toHaveLength(1);
  });

  it('keeps a file that a column declared to share it still names', async () => {
    const pictures = {
      column: 'file',
      bytes: 'bytes',
      fate: 'delete',
      prefix: 'pictures/',
      suffixed: true,
    } as const;
    f = await files({
      policy: { files: [{ ...pictures, sharedWith: [{ table: { name: 'albums' }, column: 'cover' }] }] },
    });
    await f.db.sql(`create table albums (cover text); create index on albums (retention.blob_path(cover));
      grant select on albums to lapse_app`);
    await f.db.sql('insert into albums values ($1)', [suffixed(0)]);
    await f.rows(gone(2));
    await f.upload(suffixed(0), suffixed(1));
    await f.runNow();
    f.pass(1);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 1, referenced: 1 });
    expect(f.stored()).toEqual([suffixed(0)]);
    expect(await f.entries()).toEqual({ deleted: 1, kept: 1 });
  });

  it('takes a shared file with the last row that names it', async () => {
    f = await files();
    await f.rows([
      { age: 40, file: suffixed(1) },
      { age: 29, file: suffixed(1) },
    ]);
    await f.upload(suffixed(1));
    await f.runNow();
    f.pass(1);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 0, referenced: 1, calls: 0 });
    expect(f.stored()).toEqual([suffixed(1)]);
    f.pass(2 * 86_400);
    await f.db.sql("update pictures set at = at - interval '2 days'");
    // The run drains what it has queued while time is left.
    expect((await f.runNow()).files).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(f.stored()).toEqual([]);
    expect(await f.entries()).toEqual({ kept: 1, deleted: 1 });
  });

  it('keeps a file that a content names which other rows still refer to', async () => {
    const fate = 'with-last-reference' as const;
    const body = [{ column: 'path', fate: 'delete' as const, prefix: 'bodies/' }];
    const content = {
      table: { name: 'bodies' },
      key: [{ column: 'id', type: 'integer' }],
      files: body,
      fate,
    };
    f = await files({ policy: { contents: [{ ...content, references: [['body']] }] } });
    await f.db.sql(`create table bodies (id int primary key, path text); grant select, update, delete on bodies to lapse_app;
      create index on bodies (retention.blob_path(path)); select retention.protect('public.bodies');
      alter table pictures add body int references bodies; create index on pictures (body);
      insert into bodies values (1, 'bodies/same.bin'), (2, 'bodies/same.bin'), (3, 'bodies/own.bin')`);
    await f.rows(Array.from({ length: 3 }, (_, i) => ({ age: i === 1 ? 1 : 40, file: null, bytes: i + 1 })));
    await f.db.sql('update pictures set body = bytes');
    await f.upload('bodies/same.bin', 'bodies/own.bin');
    expect(await f.runNow()).toMatchObject({ deleted: 2, dependantsDeleted: 2, filesQueued: 2 });
    f.pass(1);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 1, referenced: 1 });
    expect(f.stored()).toEqual(['bodies/same.bin']);
  });

  it('deletes a file that two deleted rows name once, and settles both entries', async () => {
    f = await files();
    await f.rows([
      { age: 40, file: suffixed(1) },
      { age: 41, file: suffixed(1) },
    ]);
    await f.upload(suffixed(1));
    await f.runNow();
    f.pass(1);
    expect(await f.drain()).toMatchObject({ deleted: 2, calls: 1, bytesFreed: 10 });
    expect(await f.entries()).toEqual({ deleted: 2 });
  });

  it('sees a live row that names the file by its URL, also where the URL is encoded', async () => {
    f = await files();
    const base = f.services.blob!.bases.find((b) => b.includes('.private.'))!;
    await f.rows([
      { age: 40, file: 'pictures/a/über uns.png' },
      { age: 1, file: `${base}pictures/a/%C3%BCber%20uns.png` },
      { age: 40, file: `${base}pictures/a/b.png` },
      { age: 1, file: 'pictures/a/b.png' },
      { age: 40, file: `${base}pictures/a/c%20d.png` },
    ]);
    await f.upload('pictures/a/über uns.png', 'pictures/a/b.png', 'pictures/a/c d.png');
    await f.runNow();
    f.pass(1);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', referenced: 2, deleted: 1 });
    expect(f.stored()).toEqual(['pictures/a/b.png', 'pictures/a/über uns.png']);
  });

  it('keeps a file uploaded again under the same path after its row was deleted', async () => {
    f = await files();
    await f.rows([{ age: 40, file: 'pictures/avatars/1.png' }]);
    await f.upload('pictures/avatars/1.png');
    await f.runNow();
    await f.services.blob!.put('pictures/avatars/1.png', 'new face', { overwrite: true });
    f.pass(1);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 0, rewritten: 1 });
    expect((await f.services.blob!.get('pictures/avatars/1.png'))?.toString()).toBe('new face');
    expect(await f.entries()).toEqual({ kept: 1 });
  });

  it('keeps a file uploaded again between the look and the deletion', async () => {
    f = await files();
    await f.rows([{ age: 40, file: 'pictures/avatars/1.png' }]);
    await f.upload('pictures/avatars/1.png');
    await f.runNow();
    f.pass(1);
    const blob = f.services.blob!;
    const racing = {
      ...blob,
      head: async (name: string) => {
        const found = await blob.head(name);
        if (found && found.bytes === 10) await blob.put(name, 'new face', { overwrite: true });
        return found;
      },
    };
    Object.assign(f.services, { blob: racing });
    expect(await f.drain({ patienceMs: 60_000 })).toMatchObject({
      outcome: 'succeeded',
      deleted: 0,
      rewritten: 1,
    });
    expect(f.stored()).toEqual(['pictures/avatars/1.png']);
  });

  it('confirms a file that two looks have not found', async () => {
    f = await files();
    await f.rows([
      { age: 40, file: 'pictures/never/uploaded.png' },
      { age: 40, file: suffixed(1) },
      { age: 40, file: '' },
    ]);
    expect(await f.runNow()).toMatchObject({ outcome: 'succeeded', deleted: 3, filesQueued: 2 });
    f.pass(1);
    expect(await f.drain()).toMatchObject({ outcome: 'interrupted', missing: 0, deleted: 1, open: 1 });
    f.pass(10);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', missing: 1, open: 0 });
  });

  it('leaves another host alone, and asks a person', async () => {
    f = await files();
    await f.rows([
      { age: 40, file: 'https://cdn.example.com/a.png' },
      { age: 40, file: suffixed(1) },
    ]);
    await f.upload('a.png', suffixed(1));
    await f.runNow();
    f.pass(1);
    expect(await f.drain()).toMatchObject({ deleted: 1, refused: 1, dead: 1 });
    expect(f.stored()).toEqual(['a.png']);
  });

  it('refuses while a column that names files has no index, and says what to run', async () => {
    f = await files();
    await f.db.sql('drop index pictures_blob_path_idx');
    const result = await f.drain();
    expect(result).toMatchObject({ outcome: 'errored', reason: 'preflight' });
    expect(result.message).toContain(
      'CREATE INDEX CONCURRENTLY ON "public"."pictures" (retention.blob_path("file"));',
    );
  });

  it('prints of a partitioned table, of which PostgreSQL builds none concurrently, what answers the statements to run', async () => {
    f = await files();
    await f.db.sql('drop table pictures cascade');
    await f.db.sql('create table pictures (id uuid, at timestamptz, file text) partition by hash (id)');
    await f.db.sql('grant select on pictures to lapse_app');
    const { message } = await f.drain();
    const index = `SELECT retention.index_statements('"public"."pictures"', 'retention.blob_path("file")');`;
    expect(message).toContain(index);
    for (const { index_statements } of await f.db.sql(index)) await f.db.sql(String(index_statements));
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded' });
  });

  it('refuses while a table that names files is not there, and says so', async () => {
    f = await files();
    await f.db.sql('alter table pictures rename to former_pictures');
    const result = await f.drain();
    expect(result).toMatchObject({ outcome: 'errored', reason: 'preflight' });
    expect(result.message).toContain('"public"."pictures" names files and does not exist');
  });

  it('without a token says which setting is missing as soon as a file waits, and not before', async () => {
    f = await files();
    const { blob } = f.services;
    Object.assign(f.services, { blob: undefined });
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', open: 0 });
    Object.assign(f.services, { blob });
    await f.rows(gone(1));
    await f.runNow();
    Object.assign(f.services, { blob: undefined });
    const result = await f.drain();
    expect(result.outcome).toBe('errored');
    expect(result.message).toContain('BLOB_READ_WRITE_TOKEN');
  });

  it('run twice at once deletes each file and settles each entry once', async () => {
    f = await files();
    await f.rows(gone(1200));
    await f.cloud.blob.putMany(
      gone(1200).map((r) => ({ pathname: r.file, content: 'x', uploadedAt: new Date(0) })),
    );
    await f.runNow();
    f.pass(1);
    const both = await Promise.all([f.drain({ patienceMs: 1 }), f.drain({ patienceMs: 1 })]);
    expect(both.reduce((n, r) => n + r.deleted, 0)).toBe(1200);
    expect(f.stored()).toEqual([]);
    expect(await f.entries()).toEqual({ deleted: 1200 });
  });
});

describe('a store that fails', () => {
  it('is tried again after growing waits, until it confirms', async () => {
    f = await files();
    await f.rows(gone(1));
    await f.upload(suffixed(0));
    await f.runNow();
    f.pass(1);
    f.cloud.setFaults((r) => (r.service === 'blob' && r.n <= 3 ? { kind: 'drop-before' } : undefined));
    const waits: number[] = [];
    const result = await f.drain({
      patienceMs: 60_000,
      random: () => 0,
      wait: async (ms) => {
        waits.push(ms);
        f.pass(ms / 1000);
      },
    });
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 1, failed: 3, calls: 4 });
    expect(waits).toEqual([1_000, 2_000, 4_000]);
    expect(f.stored()).toEqual([]);
  });

  it('and loses an answer ends with the file deleted, not with an error', async () => {
    f = await files();
    await f.rows([{ age: 40, file: 'pictures/a/plain.png' }, ...gone(1)]);
    await f.upload('pictures/a/plain.png', suffixed(0));
    await f.runNow();
    f.pass(1);
    f.cloud.setFaults((r) =>
      r.service === 'blob' && r.path.startsWith('/delete') && r.n <= 3 ? { kind: 'drop-after' } : undefined,
    );
    expect(await f.drain({ patienceMs: 60_000 })).toMatchObject({ outcome: 'succeeded', open: 0 });
    expect(f.stored()).toEqual([]);
    expect(await f.entries()).toEqual({ deleted: 2 });
  });

  it('is not asked before the time it names', async () => {
    f = await files();
    await f.rows(gone(1));
    await f.upload(suffixed(0));
    await f.runNow();
    f.pass(1);
    f.cloud.setFaults((r) =>
      r.service === 'blob'
        ? { kind: 'refuse', status: 429, code: 'rate_limited', retryAfter: 90 }
        : undefined,
    );
    expect(await f.drain({ patienceMs: 30_000 })).toMatchObject({
      outcome: 'interrupted',
      reason: 'rate_limited',
      calls: 1,
    });
    f.pass(60);
    expect(await f.drain()).toMatchObject({ outcome: 'interrupted', calls: 0 });
    f.cloud.setFaults(undefined);
    f.pass(31);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it('makes a dead letter after the last attempt, and deletes the others', async () => {
    f = await files();
    await f.rows([{ age: 40, file: 'pictures/bad/one.png' }, ...gone(1)]);
    await f.upload('pictures/bad/one.png', suffixed(0));
    await f.runNow();
    f.cloud.setFaults((r) =>
      r.service === 'blob' && r.path.includes('bad')
        ? { kind: 'refuse', status: 500, code: 'unknown_error' }
        : undefined,
    );
    let died = 0;
    for (let i = 0; i < MOST_ATTEMPTS; i += 1) {
      f.pass(7 * 3_600);
      died += (await f.drain()).dead;
    }
    expect(died).toBe(1);
    expect(await f.entries()).toEqual({ dead: 1, deleted: 1 });
    const [row] = await f.db.sql("select attempts, error_class from retention.outbox where state = 'dead'");
    expect(row).toEqual({ attempts: MOST_ATTEMPTS, error_class: 'blob.transient' });
    f.pass(86_400);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', calls: 0 });
  });

  it('and refuses the token stops the drain, and no attempt is counted', async () => {
    f = await files();
    await f.rows(gone(3));
    await f.upload(suffixed(0));
    await f.runNow();
    f.pass(1);
    f.cloud.setFaults((r) =>
      r.service === 'blob' ? { kind: 'refuse', status: 403, code: 'forbidden' } : undefined,
    );
    const result = await f.drain();
    expect(result).toMatchObject({ outcome: 'errored', reason: 'blob.fatal', dead: 0 });
    expect(result.message).toContain('BLOB_READ_WRITE_TOKEN');
    const rows = await f.db.sql('select distinct attempts from retention.outbox');
    expect(rows).toEqual([{ attempts: 0 }]);
    f.cloud.setFaults(undefined);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 3 });
  });

  it('and refuses one name still deletes the others of its call', async () => {
    f = await files();
    await f.rows(gone(5));
    await f.upload(...gone(5).map((g) => g.file));
    await f.runNow();
    f.pass(1);
    f.cloud.setFaults((r) =>
      r.service === 'blob' && JSON.stringify(r.body).includes(suffixed(3))
        ? { kind: 'refuse', status: 400, code: 'bad_request' }
        : undefined,
    );
    expect(await f.drain()).toMatchObject({ deleted: 4, dead: 1 });
    expect(f.stored()).toEqual([suffixed(3)]);
  });
});

describe('a look at the store', () => {
  const plain = 'pictures/plain.png';
  const queued = async () => {
    f = await files();
    await f.rows([{ age: 40, file: plain }]);
    await f.upload(plain);
    await f.runNow();
    f.pass(1);
  };

  it('that misses a file once is not believed: the next one finds it', async () => {
    await queued();
    f.cloud.setFaults((r) =>
      r.service === 'blob' && r.n === 1 ? { kind: 'refuse', status: 404, code: 'not_found' } : undefined,
    );
    expect(await f.drain({ patienceMs: 60_000 })).toMatchObject({
      outcome: 'succeeded',
      missing: 0,
      deleted: 1,
    });
    expect(f.stored()).toEqual([]);
  });

  it('finds a file uploaded again by a store whose clock is behind: it waits until a row may name it', async () => {
    await queued();
    const blob = f.services.blob!;
    const [{ at }] = (await f.db.sql<{ at: Date }>('select created_at as at from retention.outbox')) as [
      { at: Date },
    ];
    const behind: typeof blob.head = async (...of) => {
      const found = await blob.head(...of);
      return found && { ...found, uploadedAt: new Date(at.getTime() - 30_000) };
    };
    Object.assign(f.services, { blob: { ...blob, head: behind } });
    expect(await f.drain()).toMatchObject({ outcome: 'interrupted', deleted: 0, open: 1 });
    await f.rows([{ age: 0, file: `/${plain}` }]);
    f.pass(3_700);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 0, referenced: 1 });
    expect(f.stored()).toEqual([plain]);
  });

  it('keeps a file written again under a name that only looks like one of the store', async () => {
    f = await files({ policy: { files: [{ column: 'file', fate: 'delete', prefix: 'pictures/' }] } });
    await f.rows([{ age: 40, file: suffixed(1) }]);
    await f.upload(suffixed(1));
    await f.runNow();
    await f.services.blob!.put(suffixed(1), 'another file', { overwrite: true });
    f.pass(1);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 0, rewritten: 1 });
  });

  it('is asked for nothing more after its claim may be another drain’s', async () => {
    f = await files();
    const plain = Array.from({ length: 20 }, (_, i) => ({ age: 40, file: `pictures/plain/${i}.png` }));
    await f.rows(plain);
    await f.upload(...plain.map((r) => r.file));
    await f.runNow();
    f.pass(1);
    const blob = f.services.blob!;
    let looks = 0;
    Object.assign(f.services, {
      blob: {
        ...blob,
        // Longer than the drain may work on a claim.
        head: (...given: Parameters<typeof blob.head>) => {
          looks += 1;
          f.pass(WORK_SECONDS);
          return blob.head(...given);
        },
      },
    });
    await f.drain({ lanes: 1, deadline: new Date(f.now().getTime() + 100 * WORK_SECONDS * 1000) });
    expect(looks).toBeGreaterThan(0);
    expect(f.stored()).toHaveLength(20);
  });

  it('never outlasts the deadline of the drain', async () => {
    await queued();
    const blob = f.services.blob!;
    const given: (number | undefined)[] = [];
    Object.assign(f.services, {
      blob: {
        ...blob,
        head: (...[name, options]: Parameters<typeof blob.head>) => {
          given.push(options?.timeoutMs);
          return blob.head(name, options);
        },
      },
    });
    await f.drain({ deadline: new Date(f.now().getTime() + 3_500) });
    expect(given).toEqual([2_500]);
  });
});

describe('a drain that dies', () => {
  it('between claim and deletion leaves a claim that is due again', async () => {
    f = await files();
    await f.rows(gone(2));
    await f.upload(suffixed(0), suffixed(1));
    await f.runNow();
    f.pass(1);
    const blob = f.services.blob!;
    Object.assign(f.services, { blob: { ...blob, del: () => Promise.reject(new Error('killed')) } });
    await expect(f.drain()).rejects.toThrow('killed');
    Object.assign(f.services, { blob });
    expect(await f.drain()).toMatchObject({ outcome: 'interrupted', reason: 'waiting', calls: 0, open: 2 });
    f.pass(121);
    expect(await f.drain()).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  });

  it('and answers late changes nothing that was settled meanwhile', async () => {
    f = await files();
    await f.rows(gone(1));
    await f.runNow();
    const [entry] = await f.db.sql(
      `update retention.outbox set state = 'kept', settled_as = 'referenced' returning id::text as id`,
    );
    expect(await settleFiles(f.services.database, [{ ids: [String(entry!.id)], as: 'deleted' }])).toBe(0);
    expect(await f.db.sql('select state, settled_as, attempts from retention.outbox')).toEqual([
      { state: 'kept', settled_as: 'referenced', attempts: 0 },
    ]);
  });

  it('between deletion and confirmation is done again, with the same end', async () => {
    f = await files();
    await f.rows([...gone(2), { age: 40, file: 'pictures/a/plain.png' }]);
    await f.upload(suffixed(0), suffixed(1), 'pictures/a/plain.png');
    await f.runNow();
    f.pass(1);
    const database = f.services.database;
    let n = 0;
    Object.assign(f.services, {
      database: {
        transaction: (...a: Parameters<typeof database.transaction>) =>
          ++n === 3 ? Promise.reject(new Error('killed')) : database.transaction(...a),
      },
    });
    await expect(f.drain({ lanes: 1 })).rejects.toThrow('killed');
    expect(f.stored()).toEqual([]);
    Object.assign(f.services, { database });
    f.pass(121);
    expect(await f.drain({ patienceMs: 60_000 })).toMatchObject({ outcome: 'succeeded', open: 0 });
    expect(await f.entries()).toEqual({ deleted: 3 });
  });
});

describe('the guard of tables that use paths again', () => {
  const guarded = async () => {
    f = await files();
    await f.db.sql(`create trigger lapse_files before insert or update on pictures
      for each row execute function retention.guard_file_reference('file')`);
  };

  it('refuses a row that names a file being deleted, and lets it name another', async () => {
    await guarded();
    await f.rows([{ age: 40, file: 'pictures/avatars/1.png' }]);
    await f.upload('pictures/avatars/1.png');
    await f.runNow();
    await expect(f.rows([{ age: 0, file: 'pictures/avatars/1.png' }])).resolves.toHaveLength(1);
    await f.db.sql('delete from pictures');
    f.pass(1);
    await f.drain();
    await expect(f.rows([{ age: 0, file: 'pictures/avatars/1.png' }])).rejects.toThrow(
      'upload it under another name',
    );
    await expect(f.rows([{ age: 0, file: 'pictures/avatars/2.png' }])).resolves.toHaveLength(1);
  });

  it('never lets a row and the deletion of its file both win', async () => {
    await guarded();
    const ROUNDS = 60;
    const names = Array.from({ length: ROUNDS }, (_, i) => suffixed(i));
    for (const file of names) {
      await f.rows([{ age: 40, file }]);
      await f.upload(file);
    }
    await f.runNow();
    f.pass(1);
    const writers = names.map((file, i) =>
      new Promise((done) => setTimeout(done, i % 7)).then(() =>
        f.rows([{ age: 0, file, org: randomUUID() }]).then(
          () => file,
          () => null,
        ),
      ),
    );
    const [, ...written] = await Promise.all([f.drain({ patienceMs: 0 }), ...writers]);
    f.pass(130);
    await f.drain();
    const stored = new Set(f.stored());
    for (const file of written.filter((w) => typeof w === 'string')) expect(stored.has(file)).toBe(true);
    const live = new Set((await f.db.sql<{ file: string }>('select file from pictures')).map((r) => r.file));
    for (const file of stored) expect(live.has(file)).toBe(true);
  });
});
