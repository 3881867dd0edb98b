/** Everything that is held about one person, in one archive, for that person alone. */
import { createHash, randomUUID } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { extract } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { downloadRoute, exportRoute } from '@/lib/http/export-route';
import { verify } from '@/lib/operators/audit/verify';
import { days } from '@/lib/policies/contract';
import { defineDataMap } from '@/lib/policies/data-map-contract';
import { eraseSubject } from '@/lib/rights/erase';
import { exportSubject, finishExport } from '@/lib/rights/export/export';
import { erasuresJob } from '@/lib/rights/job';
import type { Services } from '@/lib/services';
import { type Files, files, picturesPolicy, suffixed } from '../support/files';
import { LINKS } from '../support/links';
import { OPERATORS, TOKENS } from '../support/operators';

const KEY = '5a'.repeat(32);
const MAP = defineDataMap({
  'public.people': {
    kept: 'while the account lasts',
    subject: 'user',
    identifiers: ['email'],
    files: ['avatars/{id}/'],
    mentions: [{ column: 'referred_by', is: 'user' }],
    detach: ['referred_by'],
    confidential: { delete: ['email', 'name'] },
  },
  'public.pictures': { policy: 'pictures', confidential: { delete: ['person'] } },
  'public.tickets': {
    kept: 'while the account lasts',
    detach: ['assignee'],
    confidential: { delete: ['person', 'topic'] },
  },
  'public.notes': { kept: 'while the account lasts', confidential: { delete: ['ticket', 'author', 'body'] } },
  'public.invoices': {
    kept: 'tax law, ten years',
    confidential: {
      mask: { person: null },
      retain: { columns: ['vat'], ground: 'tax law, AO 147', until: { years: 10, after: 'at' } },
    },
  },
});
let f: Files;
let services: Services;
let me: string;
let other: string;

beforeEach(async () => {
  f = await files({ env: { ...LINKS, LAPSE_OPERATORS: OPERATORS, LAPSE_RIGHTS_KEY: KEY } });
  services = { ...f.services, dataMap: MAP };
  [me, other] = [randomUUID(), randomUUID()];
  await f.db.sql(`
    create table people (id uuid primary key, email text, name text, referred_by uuid);
    create table tickets (id int primary key, person uuid references people, topic text, assignee uuid references people);
    create index on tickets (assignee);
    create table notes (id int primary key, ticket int references tickets, author uuid references people, body json);
    create table invoices (id int primary key, person uuid references people, vat text, at timestamptz, total numeric);
    create index on tickets (person); create index on notes (ticket); create index on notes (author); create index on invoices (person);
    grant select, update, delete on people, tickets, notes, invoices to lapse_app;
    select retention.protect('public.' || t) from unnest(array['people', 'tickets', 'notes', 'invoices']) t;
    insert into people values ('${me}', 'me@example.com', 'M. E.', null), ('${other}', 'other@example.com', 'O. Ther', '${me}');
    insert into tickets values (1, '${me}', 'my topic', '${other}'), (2, '${other}', 'their topic', null);
    insert into notes values (1, 1, '${me}', '{"said":\n "mine"}'), (2, 1, '${other}', '"of another"'), (3, 2, '${other}', '"theirs"'), (4, 1, null, '"of nobody"');
    insert into invoices values (1, '${me}', 'DE1', '2026-01-01T00:00:00.123456Z', 12345678901234567890.50), (2, '${other}', 'DE2', now(), 1)`);
  await f.rows([
    { age: 1, file: suffixed(1), person: me },
    { age: 400, file: null, person: me },
    { age: 1, file: suffixed(2), person: other },
  ]);
  await f.upload(suffixed(1), suffixed(2), `avatars/${me}/face.png`, `avatars/${other}/face.png`);
});
afterEach(() => f.stop());

const call = async (body: unknown, s = services, who: keyof typeof TOKENS | null = 'alice') => {
  const answer = await exportRoute(() => s).POST(
    new Request('https://lapse.test/api/exports', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(who ? { authorization: `Bearer ${TOKENS[who]}` } : {}),
      },
      body: JSON.stringify(body),
    }),
  );
  return {
    status: answer.status,
    body: (await answer.json()) as {
      id: string;
      link: string;
      state: string;
      rows: number;
      message: string;
      error?: { code: string };
    },
  };
};
const ask = (s = services) => call({ user: me, reason: 'request 12' }, s);
const open = (link: string, method: 'GET' | 'POST' = 'POST', s = services): Promise<Response> =>
  downloadRoute(() => s)[method](new Request(link, { method }));
const fetched = async (link: string): Promise<Map<string, Buffer>> => {
  const tar = extract();
  const found = new Map<string, Buffer>();
  tar.end(Buffer.from(await (await open(link)).arrayBuffer()));
  for await (const entry of tar) {
    const pieces: Uint8Array[] = [];
    for await (const piece of entry) pieces.push(piece as Uint8Array);
    found.set(entry.header.name, Buffer.concat(pieces));
  }
  return found;
};
const lines = (content: Buffer | undefined) =>
  gunzipSync(content!)
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const chain = async () =>
  (
    await f.db.sql("select actor, action from retention.audit_entry where action like 'export.%' order by n")
  ).map((x) => `${x.actor} ${x.action}`);
const inStore = () => [...f.cloud.blob.all('lapse/exports/')].map((b) => b.pathname);
const job = (s = services, dryRun = false) =>
  erasuresJob(s, {
    correlationId: 'c',
    deadline: new Date(s.clock().getTime() + 240_000),
    dryRun,
    trigger: 'cron',
  });

describe('an export', () => {
  it('holds every row and file of the person, retained ones too, with a manifest whose hashes are true', async () => {
    const { status, body } = await ask();
    expect([status, body.state]).toEqual([200, 'written']);
    const tar = await fetched(body.link);
    const manifest = JSON.parse(tar.get('manifest.json')!.toString()) as {
      tables: { table: string; path: string; rows: number; sha256: string }[];
      files: { from: string; path: string; sha256: string }[];
    };
    for (const part of [...manifest.tables, ...manifest.files]) {
      expect(createHash('sha256').update(tar.get(part.path)!).digest('hex')).toBe(part.sha256);
    }
    const of = (table: string) =>
      lines(tar.get(manifest.tables.find((t) => t.table === `public.${table}`)!.path));
    expect(of('people')).toEqual([{ id: me, email: 'me@example.com', name: 'M. E.', referred_by: null }]);
    expect(of('tickets')).toEqual([{ id: 1, person: me, topic: 'my topic', assignee: null }]);
    expect(of('notes').map((n) => n.body)).toEqual([{ said: 'mine' }, 'of nobody']);
    expect(of('pictures')).toHaveLength(2);
    expect(
      gunzipSync(tar.get(manifest.tables.find((t) => t.table === 'public.invoices')!.path)!).toString(),
    ).toContain('12345678901234567890.50');
    expect(of('invoices')).toMatchObject([{ vat: 'DE1', at: '2026-01-01T00:00:00.123456+00:00' }]);
    expect(manifest.files.map((x) => x.from).sort()).toEqual([`avatars/${me}/face.png`, suffixed(1)]);
    expect(tar.get(manifest.files[0]!.path)!.toString()).toBe('0123456789');
    expect(body.rows).toBe(7);
  });

  it('holds nothing of anybody else, and says how many rows it left out', async () => {
    const tar = await fetched((await ask()).body.link);
    const all = [...tar]
      .map(([name, content]) => (name.endsWith('.gz') ? gunzipSync(content) : content).toString())
      .join('\n');
    for (const theirs of [other, 'other@example.com', 'O. Ther', 'of another', 'their', 'DE2', suffixed(2)]) {
      expect(all).not.toContain(theirs);
    }
    expect(JSON.parse(tar.get('manifest.json')!.toString())).toMatchObject({
      about: { leftOutAsOthers: { 'public.notes': 1 } },
    });
  });

  it('is one private file, asked for by name and reason, with each step in the chain and the person only as a hash', async () => {
    const { body } = await ask();
    expect(inStore()).toEqual([expect.stringMatching(new RegExp(`/${body.id}/export.tar$`))]);
    expect([...f.cloud.blob.all('lapse/exports/')].map((b) => b.access)).toEqual(['private']);
    await open(body.link);
    expect(await chain()).toEqual([
      'alice export.requested',
      'erasures export.written',
      'lapse export.fetched',
    ]);
    const entries = JSON.stringify(await f.db.sql('select * from retention.audit_entry'));
    expect(entries).toContain('subject_sha256');
    expect(entries).not.toContain(me);
    expect((await verify(services.database)).problems).toEqual([]);
  });

  it('holds what archives still have of the person, with its files, and nothing of others', async () => {
    const archiving = picturesPolicy({
      strategy: { kind: 'archive', keepFor: days(365) },
      dependants: [
        {
          table: { name: 'captions' },
          key: [{ column: 'id', type: 'integer' }],
          references: ['picture'],
          fate: 'delete',
        },
      ],
    });
    await f.db.sql(`create table captions (id int primary key, picture uuid not null references pictures, words text);
      create index on captions (picture); grant select, update, delete on captions to lapse_app; select retention.protect('public.captions')`);
    const [mine, theirs] = await f.rows([
      { age: 40, file: suffixed(7), person: me },
      { age: 40, file: suffixed(8), person: other },
    ]);
    await f.db.sql("insert into captions values (1, $1, 'below mine'), (2, $2, 'below theirs')", [
      mine,
      theirs,
    ]);
    await f.upload(suffixed(7), suffixed(8));
    f.pass(5);
    expect(await f.runNow(archiving)).toMatchObject({
      outcome: 'succeeded',
      deleted: 3,
      dependantsDeleted: 2,
    });
    const tar = await fetched((await ask({ ...services, policies: [archiving] })).body.link);
    const archived = (table: string): Buffer | undefined =>
      tar.get([...tar.keys()].find((k) => k.includes(`archived_public.${table}`)) ?? '');
    expect(lines(archived('pictures')).map((row) => [row.person, row.file])).toEqual([
      [me, null],
      [me, suffixed(7)],
    ]);
    expect(lines(archived('captions')).map((row) => row.words)).toEqual(['below mine']);
    const { files: kept } = JSON.parse(tar.get('manifest.json')!.toString()) as { files: { from: string }[] };
    expect(kept.filter((x) => x.from.startsWith('archives/'))).toHaveLength(1);
    expect(JSON.stringify([...tar].map(([, content]) => content.toString('latin1')))).not.toContain(
      suffixed(8),
    );
  });

  it('of a map that is not complete is refused with the line to add: it would not be whole', async () => {
    await f.db.sql(
      'create table secrets (id int primary key, person uuid references people); grant select on secrets to lapse_app',
    );
    const answer = await ask();
    expect([answer.status, answer.body.error?.code]).toEqual([409, 'undecided']);
    expect(await f.db.sql('select 1 from retention.export')).toEqual([]);
  });

  it('of more rows than one page of the database is whole, each row once', async () => {
    await f.db.sql(`insert into tickets select i, '${me}', repeat('x', 50) from generate_series(10, 2600) i`);
    const tar = await fetched((await ask()).body.link);
    const [name = ''] = [...tar.keys()].filter((k) => k.includes('tickets'));
    const ids = lines(tar.get(name)).map((r) => r.id);
    expect([ids.length, new Set(ids).size]).toEqual([2592, 2592]);
  });

  it('of a table of more columns than a function takes arguments is whole', async () => {
    const columns = Array.from({ length: 60 }, (_, i) => `c${i} int default ${i}`);
    await f.db.sql(`create table wide (id int primary key, person uuid references people, ${columns.join(', ')});
      create index on wide (person); grant select, update, delete on wide to lapse_app; select retention.protect('public.wide');
      insert into wide values (1, '${me}')`);
    const dataMap = [
      ...MAP,
      ...defineDataMap({
        'public.wide': { kept: 'while the account lasts', confidential: { delete: ['person'] } },
      }),
    ];
    const tar = await fetched((await ask({ ...services, dataMap })).body.link);
    const [name = ''] = [...tar.keys()].filter((k) => k.includes('wide'));
    expect(lines(tar.get(name))[0]).toMatchObject({ id: 1, person: me, c0: 0, c59: 59 });
  });

  it('is listed for operators, without a link', async () => {
    const { id } = (await ask()).body;
    const answer = await exportRoute(() => services).GET(
      new Request('https://lapse.test/api/exports', { headers: { authorization: `Bearer ${TOKENS.bob}` } }),
    );
    const { entries } = (await answer.json()) as { entries: object[] };
    expect(entries).toEqual([
      expect.objectContaining({ id, state: 'written', rows: 7, files: 2, requested_by: 'alice' }),
    ]);
    expect(JSON.stringify(entries)).not.toContain('link=');
    expect((await call({ action: 'withdraw', id: randomUUID(), reason: 'x12' })).status).toBe(404);
  });

  it('of rows too large for one answer is read in smaller pages', async () => {
    await f.db.sql(
      `insert into tickets select i, '${me}', (select string_agg(md5(random()::text), '') from generate_series(1, 40000)) from generate_series(10, 17) i`,
    );
    expect((await ask()).body.rows).toBe(15);
  });

  it('of rows whose letters an answer escapes is read in smaller pages, too', async () => {
    // Each quote is eight letters of the answer.
    await f.db.sql(
      `insert into tickets select i, '${me}', repeat('"', 2900) from generate_series(10, 1009) i`,
    );
    expect((await ask()).body).toMatchObject({ rows: 1007 });
  });
});

describe('its link', () => {
  it('shows what it is and changes nothing, then works once', async () => {
    const { link } = (await ask()).body;
    for (let i = 0; i < 2; i += 1) {
      const page = await open(link, 'GET');
      expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
      expect(await page.text()).toContain('7 entries and 2 files');
    }
    expect((await open(link)).headers.get('content-type')).toBe('application/x-tar');
    expect([(await open(link)).status, (await open(link)).headers.get('content-type')]).toEqual([
      410,
      'text/html; charset=utf-8',
    ]);
  });

  it.each([
    ['a changed one', (link: string) => `${link.slice(0, -3)}${link.endsWith('abc') ? 'xyz' : 'abc'}`, 404],
    ['none', () => 'https://lapse.test/api/exports/download', 404],
  ])('%s opens nothing', async (_, change, status) => {
    expect((await open(change((await ask()).body.link))).status).toBe(status);
    expect(await chain()).not.toContain('lapse export.fetched');
  });

  it('of another export does not open this one', async () => {
    const mine = (await ask()).body;
    const theirs = (await call({ user: other, reason: 'request 13' })).body;
    await f.db.sql('update retention.export set subject = $1 where id = $2', [me, theirs.id]);
    expect((await open(theirs.link)).status).toBe(410);
    expect((await open(mine.link)).status).toBe(200);
  });

  it('is made anew by an operator, on the record, as long as there is something to fetch', async () => {
    const { id, link } = (await ask()).body;
    await open(link);
    const again = await call({ action: 'link', id, reason: 'broke off' }, services, 'bob');
    expect((await open(again.body.link)).status).toBe(200);
    expect(await chain()).toContain('bob export.linked');
    await call({ action: 'withdraw', id, reason: 'wrong person' });
    expect((await call({ action: 'link', id, reason: 'again' })).body.error?.code).toBe('not_there');
  });
});

it('the database itself sends nothing of what was taken back, and lets the app neither ask for one nor make a link', async () => {
  const { id } = (await ask()).body;
  await call({ action: 'withdraw', id, reason: 'wrong person' });
  await f.db.sql("update retention.export set state = 'withdrawn', gone_at = null");
  const asApp = (text: string) =>
    services.database.transaction([{ text, params: [id] }], { timeoutMs: 5_000 });
  expect(
    await asApp(
      `select retention.fetch_export(gen_random_uuid(), now() + interval '1 day', $1::uuid) as refused`,
    ),
  ).toEqual([[{ refused: 'expired' }]]);
  for (const text of [
    "select retention.request_export('user', $1, 'r', 'alice', 1)",
    "select retention.link_export('alice', 'r', $1::uuid)",
  ]) {
    await expect(asApp(text)).rejects.toMatchObject({ sqlState: '42501' });
  }
});

describe('it goes', () => {
  it('when its week is over: nothing of it is left in the store, and no link opens', async () => {
    const { id, link } = (await ask()).body;
    const later = (days: number): Services => ({
      ...services,
      clock: () => new Date(f.now().getTime() + days * 86_400_000),
    });
    expect(await job(later(6.9))).toMatchObject({ exports: { gone: 0 } });
    expect(await job(later(7.1))).toMatchObject({ exports: { gone: 1 } });
    expect(inStore()).toEqual([]);
    expect(await f.db.sql('select state from retention.export where id = $1', [id])).toEqual([
      { state: 'gone' },
    ]);
    expect((await open(link)).status).toBe(410);
    expect((await chain()).at(-1)).toBe('erasures export.gone');
  });

  it('when the person is erased, before the erasure is called done', async () => {
    await ask();
    f.pass(5);
    const { outcome, message } = await eraseSubject(services, {
      subject: { scope: 'user', id: me },
      reason: 'request 14',
      actor: 'ann',
      correlationId: 'c',
      deadline: new Date(f.now().getTime() + 240_000),
      dryRun: false,
    });
    expect([outcome, inStore()], message).toEqual(['succeeded', []]);
  });

  it('later, when the store does not answer then: the erasure waits for it, and the others go', async () => {
    await ask();
    const { blob } = services;
    const away = { ...services, blob: { ...blob!, del: () => Promise.reject(new Error('away')) } };
    const order = {
      subject: { scope: 'user' as const, id: me },
      reason: 'request 14',
      actor: 'ann',
      correlationId: 'c',
      deadline: new Date(f.now().getTime() + 240_000),
      dryRun: false,
    };
    await f.db.sql('delete from pictures where file is not null');
    await blob!.del([`avatars/${me}/face.png`]);
    expect(await eraseSubject(away, order)).toMatchObject({ outcome: 'interrupted', ledger: 'failed' });
    await f.db.sql("update retention.export set expires_at = now() - interval '1 day'");
    expect(await job(away)).toMatchObject({ exports: { gone: 0 } });
    expect(await job()).toMatchObject({ outcome: 'succeeded', exports: { gone: 0 } });
    expect(inStore()).toEqual([]);
  });

  it('when it is taken back, at once', async () => {
    const { id, link } = (await ask()).body;
    expect((await call({ action: 'withdraw', id, reason: 'wrong person' })).body).toMatchObject({
      state: 'gone',
    });
    expect([inStore(), (await open(link)).status]).toEqual([[], 410]);
  });
});

describe('where it cannot be written', () => {
  it('because a row is larger than an answer of the database, it says in which table', async () => {
    await f.db.sql(
      `insert into tickets select 9, '${me}', (select string_agg(md5(random()::text), '') from generate_series(1, 300000))`,
    );
    expect((await ask()).body.message).toContain('a row of public.tickets has more than');
  });

  it('because more files are named than it can list, it says so', async () => {
    const names = Array.from({ length: 10_001 }, (_, i) => `avatars/${me}/${i}.png`);
    await f.cloud.blob.putMany(names.map((pathname) => ({ pathname, content: 'x', uploadedAt: f.now() })));
    expect((await ask()).body.message).toContain('more than 10000 files');
  });

  it('because the store breaks off while it is read back, the next call writes it whole', async () => {
    const { blob } = services;
    const breaking = {
      ...blob!,
      stream: (name: string) =>
        name.includes('/files/') ? Promise.reject(new Error('away')) : blob!.stream(name),
    };
    expect((await ask({ ...services, blob: breaking })).body.state).toBe('requested');
    // Nor does it hang when the store takes no more of the tar itself.
    await f.db.sql(`insert into tickets select i, '${me}', (
      select string_agg(md5(random()::text), '') from generate_series(1, 6000)) from generate_series(10, 80) i`);
    const full = {
      ...blob!,
      upload: async (...a: Parameters<NonNullable<Services['blob']>['upload']>) => {
        const upload = await blob!.upload(...a);
        const part = (body: Buffer) =>
          a[0].endsWith('.tar') ? Promise.reject(new Error('away')) : upload.part(body);
        return { ...upload, part };
      },
    };
    expect((await ask({ ...services, blob: full })).body.state).toBe('requested');
    expect(await job()).toMatchObject({ exports: { written: 1 } });
  });

  it('by a service, or under no name: the database refuses it', async () => {
    const deadline = new Date(f.now().getTime() + 240_000);
    const order = {
      subject: { scope: 'user' as const, id: me },
      reason: 'x12',
      correlationId: 'c',
      deadline,
    };
    await expect(exportSubject(services, { ...order, actor: 'cron' })).rejects.toMatchObject({ status: 422 });
  });

  it('at once, the job finishes it; what it had begun is written over, and nothing of that is left', async () => {
    let puts = 0;
    const blob = {
      ...services.blob!,
      put: (...a: Parameters<NonNullable<Services['blob']>['put']>) =>
        ++puts > 2 ? Promise.reject(new Error('away')) : services.blob!.put(...a),
    };
    const { status, body } = await ask({ ...services, blob });
    expect([status, body.state, body.link]).toEqual([202, 'requested', null]);
    expect((await ask({ ...services, blob })).body.id).toBe(body.id);
    expect(await job()).toMatchObject({ exports: { written: 1 } });
    expect(inStore()).toHaveLength(1);
    expect(await chain()).toEqual(['alice export.requested', 'erasures export.written']);
  });

  it('for want of time, it says which command takes as long as it takes', async () => {
    let now = 0;
    const slow = { ...services, clock: () => new Date(f.now().getTime() + 60_000 * now++) };
    const { body } = await ask(slow);
    expect(body.message).toContain(`npm run subject:export -- --id ${body.id}`);
    expect(await finishExport(slow, body.id)).toMatchObject({ state: 'written', rows: 7 });
  });

  it.each([
    ['no store', { blob: undefined }, 'no_store'],
    ['no links', { settings: { links: undefined } }, 'no_links'],
    ['outside production', { settings: { dryRun: true } }, 'dry_run'],
  ])('%s: refused, and nothing is remembered', async (_, more, code) => {
    const settings = { ...services.settings, ...('settings' in more ? more.settings : {}) };
    const answer = await ask({ ...services, ...more, settings } as Services);
    expect([answer.status, answer.body.error?.code]).toEqual([409, code]);
    expect(await f.db.sql('select 1 from retention.export')).toEqual([]);
  });

  it('by nobody but an operator with a reason, of one subject', async () => {
    expect((await call({ user: me, reason: 'x12' }, services, null)).status).toBe(401);
    for (const body of [
      { user: me },
      { reason: 'x12' },
      { user: me, organization: me, reason: 'x12' },
      { user: 'not an id', reason: 'x12' },
    ]) {
      expect([400, 422]).toContain((await call(body)).status);
    }
    expect(await f.db.sql('select 1 from retention.export')).toEqual([]);
  });
});
