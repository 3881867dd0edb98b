/** The independent check, and the certificate that follows it. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { erasureRoute } from '@/lib/http/erasure-route';
import { exportedEntry } from '@/lib/operators/audit/chain';
import { verify } from '@/lib/operators/audit/verify';
import { type DataMapInput, defineDataMap } from '@/lib/policies/data-map-contract';
import { certificateOf } from '@/lib/rights/certificate';
import { verifyCertificate } from '@/lib/rights/certificate-verify';
import { check } from '@/lib/rights/check';
import { partsOf, readPage } from '@/lib/rights/check/tables';
import { confirmRequest, eraseSubject, resumeErasures } from '@/lib/rights/erase';
import type { ErasureResult } from '@/lib/rights/result';
import { readErasure } from '@/lib/rights/store';
import type { Services } from '@/lib/services';
import { type Files, files, suffixed } from '../support/files';
import { OPERATORS, TOKENS } from '../support/operators';

const KEY = 'ab'.repeat(32);
const { privateKey } = generateKeyPairSync('ed25519');
const SIGNING = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
const EMAIL = 'me@example.com';
let f: Files;
let me: string;

beforeEach(async () => {
  f = await files({
    env: { LAPSE_RIGHTS_KEY: KEY, LAPSE_AUDIT_SIGNING_KEY: SIGNING, LAPSE_OPERATORS: OPERATORS },
  });
  me = randomUUID();
  await f.db.sql('create index on pictures (person)');
  await f.db.sql('create table people (id uuid primary key default gen_random_uuid(), email text)');
  await f.db.sql(
    'create table notes (id uuid primary key default gen_random_uuid(), words text, extra jsonb)',
  );
  await f.db.sql('grant select, update, delete on people, notes to lapse_app');
  await f.db.sql(`select retention.protect('public.people'), retention.protect('public.notes')`);
  await f.db.sql('insert into people (id, email) values ($1, $2)', [me, EMAIL]);
  await f.rows([{ age: 1, file: suffixed(1), person: me }]);
  await f.upload(suffixed(1));
  f.pass(5);
});
afterEach(() => f.stop());

const MAP: DataMapInput = {
  'public.people': {
    kept: 'while it lasts',
    subject: 'user',
    identifiers: ['email'],
    files: ['avatars/{id}/'],
    confidential: { delete: ['email'] },
  },
  'public.notes': { kept: 'while it lasts' },
  'public.pictures': { policy: 'pictures', confidential: { delete: ['person'] } },
};
const mapped = (map: DataMapInput = {}): Services => ({
  ...f.services,
  dataMap: defineDataMap({ ...MAP, ...map }),
});
const order = (deadlineMs = 240_000) => ({
  subject: { scope: 'user' as const, id: me },
  reason: 'request 12',
  actor: 'ann',
  correlationId: 'test',
  deadline: new Date(f.now().getTime() + deadlineMs),
  dryRun: false,
});
const erase = (services: Services): Promise<ErasureResult> => eraseSubject(services, order());
const again = async (services: Services) => (await resumeErasures(services, order())).erasures[0]!;
const note = (words: string | null, extra: unknown = null) =>
  f.db.sql('insert into notes (words, extra) values ($1, $2)', [words, JSON.stringify(extra)]);
const state = async () => (await f.db.sql('select state from retention.erasure'))[0]?.state;
const incidents = () =>
  f.db.sql(
    "select severity, message, recovered_at is null as open from retention.incident where cause like 'erasure.check:%'",
  );

describe('the check', () => {
  it.each([
    ['the id in a text', () => note(`asked by ${me.toUpperCase()}.`), 'words'],
    ['the id in a payload', () => note(null, { a: [{ b: me }] }), 'extra'],
    ['the address in a text', () => note(`please write to <ME@example.com>, thanks`), 'words'],
    ['the address as a value of a payload', () => note(null, { to: ' me@example.com ' }), 'extra'],
    ['the address in a text of a payload', () => note(null, { text: 'mail me@example.com' }), 'extra'],
  ])('finds %s, keeps the request open, and tells people where, with no value', async (_, plant, column) => {
    await plant();
    await note('nothing of anybody, or other@example.com');
    const done = await erase(mapped());
    expect(done).toMatchObject({ outcome: 'errored', reason: 'left_behind', deleted: 2 });
    expect(done.message).toContain(`1 rows with the subject in public.notes.${column}`);
    expect(await state()).toBe('open');
    expect(await incidents()).toEqual([
      { severity: 'critical', message: expect.stringContaining(`public.notes.${column}`), open: true },
    ]);
    expect(JSON.stringify(await incidents())).not.toContain(EMAIL);
    // What is not done is in no ledger.
    expect(f.stored('lapse/erasures/')).toEqual([]);
    await f.db.sql('delete from notes');
    expect(await again(mapped())).toMatchObject({ outcome: 'succeeded', deleted: 2 });
    expect(await incidents()).toMatchObject([{ open: false }]);
  });

  it('finds an address whatever stands beside it, and takes no longer one for it', async () => {
    const hiding = [
      'Hello\nme@example.com\r\nwrote',
      'x.example/u/me@example.com',
      'x.example/?a=1&email=me@example.com&b=2',
      'x.example/?email=me%40example.com',
      '{"a":"{\\"b\\":\\"me\\u0040example.com\\"}"}',
      '&lt;me@example.com&gt; _me@example.com_',
      'see „me@example.com“',
      'cc:you@example.com,me@example.com.Thanks',
    ];
    const others = ['a.me@example.com', 'not-me@example.com', 'me@example.com.au', 'me@example.community'];
    for (const words of [...hiding, ...others]) await note(words);
    await note(null, { deep: [[{ in: ['x', { text: 'see\nme@example.com' }] }]] });
    await note(null, { 'me@example.com': 1 });
    const done = await erase(mapped());
    expect(done.message).toContain(`${hiding.length} rows with the subject in public.notes.words`);
    expect(done.message).toContain('2 rows with the subject in public.notes.extra');
  });

  it('finds an address in letters of any script, however these are typed, and an id as it is written', async () => {
    const own = 'Jürgen.Åberg@Bücher.example';
    await f.db.sql('update people set email = $1 where id = $2', [own, me]);
    const same = [
      own.toUpperCase(),
      own.normalize('NFD'),
      `an „${own.toLowerCase().normalize('NFD')}“ schreiben`,
      'jürgen.åberg%40bücher.example',
    ];
    // An accent is a letter's own, a tag a mailbox's, and xn-- another name of the domain: docs/DATA-MAP.md.
    const others = [
      'jurgen.aberg@bucher.example',
      'jürgen.åberg+news@bücher.example',
      'jürgen.åberg@xn--bcher-kva.example',
    ];
    for (const words of [...same, ...others]) await note(words);
    await note(null, { to: own.normalize('NFD') });
    const done = await erase(mapped());
    expect(done.message).toContain(`${same.length} rows with the subject in public.notes.words`);
    expect(done.message).toContain('1 rows with the subject in public.notes.extra');
    await f.db.sql('delete from notes');
    await note('of "ÜBER-GMBH" 00001');
    await note(null, { of: 'Über-gmbh' });
    const id = '"ÜBER-GMBH" 00001';
    const columns = { impersonal: [], naming: [], endings: [], asOf: f.now().toISOString() };
    const sought = { subject: { scope: 'user' as const, id }, hashes: {}, secrets: [] };
    const [part] = await partsOf(mapped(), ['public.notes'], []);
    const { page } = await readPage(mapped(), part!, 0, sought, columns);
    expect(page).toMatchObject({ rows: 2, found: { words: 1 } });
  });

  it('reads what a materialized view has kept', async () => {
    await note(EMAIL);
    await f.db.sql('create materialized view copies as select * from notes');
    await f.db.sql('delete from notes');
    await f.db.sql('grant select on copies to lapse_app');
    const services = mapped({ 'public.copies': { technical: 'a copy for reports' } });
    expect((await erase(services)).message).toContain('1 rows with the subject in public.copies.words');
    await f.db.sql('refresh materialized view copies');
    expect(await again(services)).toMatchObject({ outcome: 'succeeded' });
  });

  it('reads rows that lie beside their table, because they are large, a few at a time', async () => {
    await f.db.sql('alter table notes alter column words set storage external');
    await f.db.sql("insert into notes (words) select repeat('x', 1000000) from generate_series(1, 12)");
    await note(`of ${me}`);
    const services = mapped();
    const [part] = await partsOf(services, ['public.notes'], []);
    const sought = { subject: { scope: 'user' as const, id: me }, hashes: {}, secrets: [] };
    const columns = { impersonal: [], naming: [], endings: [], asOf: f.now().toISOString() };
    // One page of the table has more of them than one answer should read.
    expect(part!.block_bytes).toBeGreaterThan(4 * 1024 * 1024);
    const { page, next } = await readPage(services, part!, 0, sought, columns);
    expect(page).toMatchObject({ rows: 13, found: { words: 1 } });
    expect(next).toBeNull();
    expect((await readPage(services, { ...part!, blocks: 5 }, 0, sought, columns)).next).toBe(1);
  });

  it('asks nothing of the graph: what was never declared is found all the same', async () => {
    await f.db.sql('insert into notes (words) values ($1)', [me]);
    expect(await erase(mapped())).toMatchObject({ reason: 'left_behind' });
  });

  it('lists what the map retains, and passes by what was reviewed', async () => {
    await note(`of ${me}`);
    const retained: DataMapInput = {
      'public.notes': {
        kept: 'while it lasts',
        confidential: {
          retain: { columns: ['words'], ground: 'a dispute: Art. 17(3)(e)', until: 'removal' },
        },
      },
    };
    expect(await erase(mapped(retained))).toMatchObject({ outcome: 'succeeded' });
    const [row] = await f.db.sql<{ checked: { retained: unknown } }>('select checked from retention.erasure');
    expect(row?.checked.retained).toEqual({ 'public.notes': { words: 1 } });
  });

  it('lists a column that goes with its row by a policy', async () => {
    const done = await erase(
      mapped({
        'public.pictures': {
          policy: 'pictures',
          confidential: {
            retain: { columns: ['person'], ground: 'a dispute: Art. 17(3)(e)', until: 'policy' },
          },
        },
      }),
    );
    expect(done).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(done.retained).toMatchObject([
      { table: 'public.pictures', columns: ['person'], until: 'its row goes by the policy of its table' },
    ]);
  });

  it('of a short id looks into the columns that name subjects', async () => {
    await f.db.sql('create table customers (id int primary key, note text)');
    await f.db.sql(
      'create table purchases_of (id int primary key, customer int references customers, amount int)',
    );
    await f.db.sql('create index on purchases_of (customer)');
    await f.db.sql('grant select, update, delete on customers, purchases_of to lapse_app');
    await f.db.sql(`select retention.protect('public.customers'), retention.protect('public.purchases_of')`);
    await f.db.sql(
      `insert into customers values (7, 'seven'), (8, 'not 7'); insert into purchases_of values (7, 8, 7), (9, 7, 1)`,
    );
    const services = {
      ...mapped(),
      dataMap: defineDataMap({
        'public.customers': { kept: 'while it lasts', subject: 'user', confidential: { delete: ['note'] } },
        'public.purchases_of': { kept: 'while it lasts', confidential: { delete: ['customer'] } },
      }),
      policies: [],
    };
    const asked = await eraseSubject(services, { ...order(), subject: { scope: 'user', id: '7' } });
    expect(asked).toMatchObject({ outcome: 'succeeded', deleted: 2 });
    const certificate = JSON.parse(JSON.parse((await certificateOf(services, asked.id!)).text).certificate);
    expect(certificate.check.method).toBe('columns');
  });

  it.each([
    ['without the right to it', 'revoke select on notes from lapse_app', 'public.notes'],
    ['with row-level security', 'alter table notes enable row level security', 'public.notes'],
    ['in a schema of its own', 'create schema own; alter table notes set schema own', 'own.notes'],
  ])('says which table it may not read: %s', async (_, change, label) => {
    await f.db.sql(change);
    const done = await erase(mapped({ [label]: { kept: 'while it lasts' } }));
    expect(done).toMatchObject({ outcome: 'errored', reason: 'left_behind' });
    expect(done.message).toContain(`${label}, which the role may not read`);
  });

  it('names each table that it did not read, and says of none of them that nothing is left', async () => {
    await f.db.sql(`create table forgotten (words text); create schema "Other";
      create table "Other".log (at date, words text) partition by range (at);
      create table "Other".log_2026 partition of "Other".log for values from ('2026-01-01') to ('2027-01-01');
      create foreign data wrapper nowhere; create server elsewhere foreign data wrapper nowhere;
      create foreign table far (words text) server elsewhere`);
    await f.db.sql('insert into forgotten values ($1)', [me]);
    const unread = expect.arrayContaining(['Other.log', 'public.far', 'public.forgotten']);
    const far: DataMapInput = { 'public.far': { technical: 'rows of another server' } };
    const done = await erase(mapped(far));
    expect(done).toMatchObject({ outcome: 'succeeded' });
    expect(done.message).toContain(
      'nothing of the subject is left but what may stand in tables that were not read',
    );
    expect(done.message).toContain('Other.log');
    expect(await readErasure(f.services.reading, done.id!, f.now())).toMatchObject({ not_read: unread });
    const { text } = await certificateOf(f.services, done.id!);
    expect(JSON.parse(JSON.parse(text).certificate).check).toMatchObject({ found: 0, notRead: unread });
  });

  it('finds a file that is still in the store, though the outbox calls it deleted', async () => {
    const { blob } = f.services;
    const lying = {
      ...mapped(),
      blob: {
        ...blob!,
        del: async () => undefined,
        head: async (path: string) =>
          path.includes('lapse/') ? blob!.head(path) : { ...(await blob!.head(path))! },
      },
    };
    expect(await erase(lying)).toMatchObject({ reason: 'left_behind' });
    expect((await incidents())[0]?.message).toContain('1 files in the store');
  });

  it('takes the files of the subject’s own folder, which no row names, and looks whether they are gone', async () => {
    const other = randomUUID();
    await f.upload(`avatars/${me}/a.png`, `avatars/${me}/b/c.png`, `avatars/${other}/a.png`);
    expect(await erase(mapped())).toMatchObject({ outcome: 'succeeded' });
    expect(f.stored('avatars/')).toEqual([`avatars/${other}/a.png`]);
    const entries = await f.db.sql(
      "select action, detail from retention.audit_entry where action = 'files.queued'",
    );
    expect(entries).toEqual([{ action: 'files.queued', detail: { files: 2 } }]);
  });

  it('takes no file of the folder while the subject is held', async () => {
    await f.upload(`avatars/${me}/a.png`);
    await f.db.sql(
      "insert into retention.erasure (scope, subject, reason, requested_by, state) values ('user', $1, 'r', 'ann', 'open')",
      [me],
    );
    await f.db.sql(
      "insert into retention.hold (scope, subject, reason, placed_by) values ('user', $1, 'matter 7', 'bob')",
      [me],
    );
    const [row] = await f.db.sql<{ n: number }>(
      'select retention.queue_erasure_files(id, $1, $2)::int as n from retention.erasure',
      [`avatars/${me}/`, JSON.stringify([{ path: `avatars/${me}/a.png`, bytes: 1 }])],
    );
    expect(row?.n).toBe(0);
  });

  it('waits for a store that does not answer, and tells nobody', async () => {
    f.cloud.setFaults(({ service, path }) =>
      service === 'blob' && path.includes('url=') ? { kind: 'refuse', status: 403 } : undefined,
    );
    expect(await erase(mapped())).toMatchObject({ outcome: 'interrupted', reason: 'checking', deleted: 2 });
    expect(await state()).toBe('open');
    expect(await incidents()).toEqual([]);
    f.cloud.setFaults(undefined);
    f.pass(30);
    expect(await again(mapped())).toMatchObject({ outcome: 'succeeded' });
  });

  it('asks for every file, however many they are', async () => {
    f.cloud.setFaults(({ service, path }) =>
      service === 'blob' && path.includes('url=') ? { kind: 'refuse', status: 403 } : undefined,
    );
    await erase(mapped());
    f.cloud.setFaults(undefined);
    await f.db.sql(
      `insert into retention.outbox (policy, table_name, row_key, url, prefix, next_attempt_at)
       select 'pictures', 'public.pictures', e.id::text, 'elsewhere/' || i, 'pictures/', $1
       from retention.erasure e cross join generate_series(1, 501) i`,
      [f.now().toISOString()],
    );
    f.pass(30);
    expect(await again(mapped())).toMatchObject({ outcome: 'succeeded' });
    const [row] = await f.db.sql<{ checked: { files: number } }>('select checked from retention.erasure');
    expect(row?.checked.files).toBe(502);
  });

  it('passes on what is no fault of the store', async () => {
    const broken = { ...f.services.blob!, head: () => Promise.reject(new Error('broken')) };
    await expect(erase({ ...mapped(), blob: broken })).rejects.toThrow('broken');
    expect(await state()).toBe('open');
  });

  it.each([1, 3])(
    'without time after part %i of the tables continues there in the next call',
    async (most) => {
      await note('words');
      const real = mapped();
      const { database } = real;
      let [pages, late] = [0, 0];
      const counting = {
        transaction: async (...x: Parameters<typeof database.transaction>) => {
          if (x[0].some((q) => q.text.includes('jsonb_each(seen.j)'))) {
            pages += 1;
            if (pages === most) late = 300_000;
          }
          return database.transaction(...x);
        },
      };
      const slow = { ...real, database: counting, clock: () => new Date(f.now().getTime() + late) };
      expect(await erase(slow)).toMatchObject({ outcome: 'interrupted', reason: 'checking', deleted: 2 });
      expect([pages, await state()]).toEqual([most, 'open']);
      late = 0;
      expect(await again({ ...real, database: counting })).toMatchObject({ outcome: 'succeeded' });
      const [row] = await f.db.sql<{ checked: { tables: number } }>('select checked from retention.erasure');
      expect([pages, row?.checked.tables]).toEqual([3, 3]);
    },
  );

  it('begins again where a table came meanwhile, rather than pass one by', async () => {
    const checking = {
      erasure: randomUUID(),
      subject: order().subject,
      identifiers: {},
      prefixes: [],
    };
    const first = await check(mapped(), { ...checking, sofar: null, inTime: () => false });
    const sofar = { ...first, next: { part: 2, block: 0 }, tables: 2 };
    await f.db.sql('create table a_new_one (words text); grant select on a_new_one to lapse_app');
    await f.db.sql('insert into a_new_one values ($1)', [me]);
    const grown = mapped({ 'public.a_new_one': { technical: 'made by a migration' } });
    const inTime = () => true;
    expect((await check(mapped(), { ...checking, sofar, inTime })).tables).toBe(3);
    expect(await check(grown, { ...checking, sofar, inTime })).toMatchObject({
      tables: 4,
      found: { 'public.a_new_one': { words: 1 } },
    });
  });
});

describe('the certificate', () => {
  const exported = async () => {
    const lines: string[] = [];
    await verify(f.services.reading, { each: (entry) => lines.push(exportedEntry(entry)) });
    return lines.join('');
  };
  const given = async () => {
    const done = await erase(mapped());
    expect(done.outcome).toBe('succeeded');
    const certificate = await certificateOf(f.services, done.id!);
    return { id: done.id!, certificate, file: `${JSON.stringify(certificate)}\n`, chain: await exported() };
  };
  const changedAt = (text: string, i: number) =>
    text.slice(0, i) + String.fromCharCode(text.charCodeAt(i) ^ 1) + text.slice(i + 1);

  it('verifies without a database, by the published key and the exported chain', async () => {
    const { file, chain, certificate } = await given();
    const key = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).toString('base64');
    expect(verifyCertificate(file, { chain, key }).problems).toEqual([]);
    expect(verifyCertificate(file).problems).toEqual([]);
    expect(verifyCertificate(file, { key: 'MCow' }).problems).toHaveLength(1);
    expect(JSON.parse(JSON.parse(certificate.text).certificate)).toMatchObject({
      format: 'lapse-erasure-certificate/1',
      scope: 'user',
      tables: [
        { table: 'public.people', action: 'delete', rows: 1 },
        { table: 'public.pictures', action: 'delete', rows: 1, files: 1 },
      ],
      retained: [],
      check: { method: 'text', tables: 3, files: 1, found: 0 },
    });
  });

  it('names no person: no id, no address, no operator', async () => {
    const { file } = await given();
    // Without its signature and hashes: letters at random spell any short name, once in a while.
    const said = file.replaceAll(/[\w+/=-]{40,}/g, '');
    expect(said).toContain('lapse-erasure-certificate/1');
    for (const word of [me, EMAIL, 'ann', 'request 12']) expect(said).not.toContain(word);
    for (const word of [me, EMAIL, 'request 12']) expect(file).not.toContain(word);
  });

  it('fails when one byte of it was changed, whichever', async () => {
    const { file } = await given();
    for (let i = 0; i < file.length; i += 1) {
      expect(verifyCertificate(changedAt(file, i)).problems, `byte ${i}`).not.toEqual([]);
    }
  });

  it('fails when one byte of the chain was changed, whichever, or an entry is missing', async () => {
    const { file, chain } = await given();
    for (let i = 0; i < chain.length; i += 7) {
      expect(verifyCertificate(file, { chain: changedAt(chain, i) }).problems, `byte ${i}`).not.toEqual([]);
    }
    const lines = chain.split('\n').slice(0, -1);
    expect(verifyCertificate(file, { chain: `${lines.slice(0, -1).join('\n')}\n` }).problems).not.toEqual([]);
    expect(verifyCertificate(file, { chain: `${lines.slice(1).join('\n')}\n` }).problems).not.toEqual([]);
    expect(verifyCertificate(file, { chain: chain.slice(0, -1) }).problems).not.toEqual([]);
  });

  it('fails for something else that the same key signed, and for another erasure’s entry', async () => {
    const { certificate, chain } = await given();
    const key = createPrivateKey({ key: Buffer.from(SIGNING, 'base64'), format: 'der', type: 'pkcs8' });
    const signed = (text: string) =>
      `${JSON.stringify({ ...certificate, text, signature: sign(null, Buffer.from(text), key).toString('base64') })}\n`;
    expect(verifyCertificate(signed('{"n":1}')).problems).toEqual(['what was signed is no certificate']);
    const other = JSON.parse(certificate.text) as { certificate: string; entry: { n: number; hash: string } };
    const forged = { ...other, certificate: other.certificate.replace('"rows":1', '"rows":2') };
    expect(verifyCertificate(signed(JSON.stringify(forged)), { chain }).problems).toEqual([
      `the chain has no entry ${other.entry.n} that names this certificate`,
    ]);
  });

  it('is given to operators, the same bytes each time, and only of a request that is done', async () => {
    const { id, certificate } = await given();
    const get = async (query: string, services: Services = f.services) => {
      const response = await erasureRoute(() => services).GET(
        new Request(`https://lapse.test/api/erasure?certificate=1&${query}`, {
          headers: { authorization: `Bearer ${TOKENS.alice}` },
        }),
      );
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
    for (let i = 0; i < 2; i += 1)
      expect(await get(`id=${id}`)).toMatchObject({ status: 200, body: certificate });
    expect(await get(`id=${randomUUID()}`)).toMatchObject({ status: 404 });
    const keyless = { ...f.services, settings: { ...f.services.settings, auditSigningKey: undefined } };
    expect(await get(`id=${id}`, keyless)).toMatchObject({
      status: 409,
      body: { error: { code: 'no_key' } },
    });
    await note(me);
    const open = await eraseSubject(mapped(), order());
    expect(open.outcome).toBe('errored');
    expect(await get(`id=${open.id}`)).toMatchObject({ status: 409, body: { error: { code: 'not_done' } } });
  });

  it('names no subject where there is no key to hash it with', async () => {
    const services = {
      ...mapped({
        'public.people': { kept: 'while it lasts', subject: 'user', confidential: { delete: ['email'] } },
      }),
      settings: { ...f.services.settings, rightsKeys: [] },
    };
    const done = await eraseSubject(services, order());
    const { text } = await certificateOf(services, done.id!);
    expect(JSON.parse(JSON.parse(text).certificate).subject).toBeNull();
  });
});

it('a request of two operators ends with a certificate, too', async () => {
  const asked = await eraseSubject(mapped({ 'public.notes': { undecided: true } }), {
    ...order(),
    subject: { scope: 'organization', id: randomUUID() },
  });
  const done = await confirmRequest(mapped(), { ...order(), actor: 'ben', id: asked.id!, reason: 'checked' });
  expect(done).toMatchObject({
    outcome: 'succeeded',
    message: expect.stringMatching(/^0 rows: nothing of this subject is left but/),
  });
  expect((await certificateOf(f.services, asked.id!)).signature.length).toBeGreaterThan(80);
});
