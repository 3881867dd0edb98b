import { extract } from 'tar-stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Policy } from '@/lib/policies/contract';
import { announcementOf } from '@/lib/rights/notices/acts';
import { Copy } from '@/lib/rights/notices/copy';
import type { Services } from '@/lib/services';
import { type PrivateCloud, privateCloud } from '../support/cloud';
import { DAY, databaseClock, type Engine, engine, NOW } from '../support/engine';
import { noticed, ORGS, organizations, told } from '../support/notices';

let cloud: PrivateCloud;
let e: Engine;
let services: Services;
/** With a key of two columns, files, and notes that go along with files of their own. */
const policy: Policy = noticed({
  key: [
    { column: 'id', type: 'uuid' },
    { column: 'at', type: 'timestamptz' },
  ],
  files: [{ column: 'file', bytes: 'bytes', fate: 'delete', prefix: 'things/' }],
  dependants: [
    {
      table: { name: 'notes' },
      key: [{ column: 'id', type: 'bigint' }],
      references: ['thing', 'thing_at'],
      fate: 'delete',
      files: [{ column: 'scan', fate: 'keep' }],
    },
    {
      table: { name: 'remarks' },
      via: { name: 'notes' },
      key: [{ column: 'id', type: 'bigint' }],
      references: ['note'],
      fate: 'delete',
    },
  ],
});

beforeAll(async () => {
  cloud = await privateCloud();
  e = await engine({ env: { BLOB_READ_WRITE_TOKEN: cloud.env('none').BLOB_READ_WRITE_TOKEN! } });
  cloud.useBlob();
  await databaseClock(e.db, NOW);
  await organizations(e.db, noticed());
  await e.db.sql(`alter table things add column file text, add column bytes bigint;
    create table notes (id bigint generated always as identity primary key, thing uuid, thing_at timestamptz, text text, scan text);
    create table remarks (id bigint generated always as identity primary key, note bigint);
    grant select on notes, remarks to lapse_app`);
  services = { ...e.services, policies: [policy] };
});
afterAll(async () => {
  await e.stop();
  await cloud.stop();
});

async function entriesOf(stream: ReadableStream<Uint8Array>): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const into = extract();
  into.on('entry', (header, content, next) => {
    const parts: Buffer[] = [];
    content.on('data', (piece: unknown) => parts.push(piece as Buffer));
    content.on('end', () => {
      found.set(header.name, Buffer.concat(parts));
      next();
    });
  });
  const done = new Promise<void>((ok, failed) => into.on('finish', ok).on('error', failed));
  into.end(Buffer.from(await new Response(stream).arrayBuffer()));
  await done;
  return found;
}

async function announced() {
  await told(e.db, 'acme', { delivered: NOW, before: NOW });
  const [part] = await e.db.sql<{ notice: string }>(
    'select notice::text from retention.notice_part order by created_at limit 1',
  );
  return announcementOf(services, {
    id: '',
    purpose: 'notice.download',
    subject: { scope: 'organization', id: ORGS.acme },
    about: { notice: part!.notice, policy: 'things', threshold: '7', digest: '0'.repeat(64) },
    expiresAt: NOW,
  });
}

it('has every row once over many pages, what goes along, and each file once with its hash', async () => {
  await services.blob!.put('things/a.bin', Buffer.alloc(3_000_000, 7));
  await services.blob!.put('scans/b.txt', 'scanned');
  await services.blob!.put('elsewhere/c.txt', 'of somebody else');
  await e.db.sql(
    `with t as (
       insert into things (org, at, note, file) select $1, $2::timestamptz - make_interval(days => 40, secs => i), 'line ' || i || E'\n"x"',
         case when i <= 2 then 'things/a.bin' when i = 3 then 'elsewhere/c.txt' when i = 4 then 'things/gone.txt' end
       from generate_series(1, 1100) i returning id, at, note
     ) insert into notes (thing, thing_at, text, scan) select id, at, 'n', case when note like 'line 1%' and length(note) < 12 then 'scans/b.txt' end from t where note < 'line 2'`,
    [ORGS.acme, NOW],
  );
  await e.db.sql(
    'insert into remarks (note) select id from notes union all select min(id) from notes union all select -1',
  );
  await e.db.sql(`insert into things (org, at) values ($1, $2)`, [
    ORGS.bolt,
    new Date(NOW.getTime() - 40 * DAY * 1000),
  ]);
  const found = await entriesOf(new Copy(services, await announced()).stream());
  const manifest = JSON.parse(found.get('manifest.json')!.toString()) as {
    tables: Record<string, { rows: number; pages: number }>;
    files: { name: string; bytes: number }[];
    missingFiles: string[];
  };
  expect([...found.keys()].at(-1)).toBe('manifest.json');
  expect(manifest.tables['public.things']).toEqual({ rows: 1100, pages: 3 });
  const rows = [...found].flatMap(([name, content]) =>
    name.startsWith('rows/public.things')
      ? content
          .toString()
          .trim()
          .split('\n')
          .map((l) => JSON.parse(l) as { id: string; org: string })
      : [],
  );
  expect(new Set(rows.map((r) => r.id)).size).toBe(1100);
  expect(new Set(rows.map((r) => r.org))).toEqual(new Set([ORGS.acme]));
  const notes = await e.db.sql(`select count(*)::int as n from notes`);
  expect(manifest.tables['public.notes']!.rows).toBe(notes[0]!.n);
  expect(manifest.tables['public.remarks']!.rows).toBe(Number(notes[0]!.n) + 1);
  expect(manifest.files.map((f) => [f.name, f.bytes]).sort()).toEqual([
    ['files/scans/b.txt', 7],
    ['files/things/a.bin', 3_000_000],
  ]);
  expect(manifest.missingFiles.sort()).toEqual(['elsewhere/c.txt', 'things/gone.txt']);
  expect(found.get('files/things/a.bin')!.equals(Buffer.alloc(3_000_000, 7))).toBe(true);
});

it('breaks off, without a manifest, when it cannot be read to its end', async () => {
  const about = await announced();
  const broken = { ...services, database: { transaction: () => Promise.reject(new Error('gone')) } as never };
  await expect(new Response(new Copy(broken, about).stream()).arrayBuffer()).rejects.toThrow();
  const stream = new Copy(services, about).stream();
  const reader = stream.getReader();
  await reader.read();
  await reader.cancel();
  await expect(reader.read()).resolves.toMatchObject({ done: true });
});

it('of what has gone altogether is only a manifest that says so', async () => {
  await e.db.sql('delete from remarks; delete from notes; delete from things');
  const found = await entriesOf(new Copy(services, await announced()).stream());
  expect([...found.keys()]).toEqual(['manifest.json']);
  expect(JSON.parse(found.get('manifest.json')!.toString())).toMatchObject({ tables: {}, files: [] });
});

it.each([0, 1])(
  'breaks off where the store does after %i pieces of a file, and takes nothing else down with it',
  async (pieces) => {
    await services.blob!.put('things/broken.bin', Buffer.alloc(3_000_000, 7), { overwrite: true });
    await e.db.sql(`insert into things (org, at, file) values ($1, $2, 'things/broken.bin')`, [
      ORGS.acme,
      new Date(NOW.getTime() - 40 * DAY * 1000),
    ]);
    const about = await announced();
    const stream = async (name: string) => ({
      ...(await services.blob!.stream(name))!,
      content: (async function* () {
        if (pieces > 0) yield Buffer.alloc(1_000);
        throw new Error('away');
      })(),
    });
    const broken = { ...services, blob: { ...services.blob!, stream } };
    await expect(new Response(new Copy(broken, about).stream()).arrayBuffer()).rejects.toThrow('away');
  },
);

const empty = () => e.db.sql('delete from remarks; delete from notes; delete from things');
const manifestOf = (found: ReadonlyMap<string, Buffer>) =>
  JSON.parse(found.get('manifest.json')!.toString()) as {
    tables: Record<string, { rows: number }>;
    files: { name: string; from: string }[];
    missingFiles: string[];
  };

it('has rows that are too large together for one answer, and however much hangs on one of them', async () => {
  await empty();
  // Each quote is eight letters of the answer.
  await e.db.sql(
    `with t as (insert into things (org, at, note) select $1, $2::timestamptz - make_interval(secs => i), repeat('"', 7000) from generate_series(1, 300) i returning id, at)
     insert into notes (thing, thing_at, text) select id, at, repeat('"', 7000) from (select * from t order by at limit 1) x, generate_series(1, 300)`,
    [ORGS.acme, new Date(NOW.getTime() - 40 * DAY * 1000)],
  );
  const found = await entriesOf(new Copy(services, await announced()).stream());
  const rows = (table: string) =>
    [...found].flatMap(([name, content]) =>
      name.startsWith(`rows/${table}`) ? content.toString().trim().split('\n') : [],
    );
  expect([rows('public.things').length, new Set(rows('public.things')).size]).toEqual([300, 300]);
  expect([rows('public.notes').length, new Set(rows('public.notes')).size]).toEqual([300, 300]);
  await empty();
  await e.db.sql(`insert into things (org, at, note) select $1, $2, repeat('"', 2000000)`, [
    ORGS.acme,
    new Date(NOW.getTime() - 40 * DAY * 1000),
  ]);
  await expect(new Response(new Copy(services, await announced()).stream()).arrayBuffer()).rejects.toThrow(
    'public.things',
  );
});

it('unpacks into its own folder, whatever files are called, and no name hides another', async () => {
  await empty();
  const [long, plain] = [`things/${'x'.repeat(300)}`, 'things/Face.png'];
  const odd = ['things/c:x', 'things/face.png', 'things/dot.', long];
  // The store has the first by this name, and whoever asks for it gets the other.
  const up = ['things/../elsewhere/c.txt', 'things/../../up'];
  for (const name of [plain, ...odd, ...up]) await services.blob!.put(name, name);
  await e.db.sql(
    `insert into things (org, at, file) select $1, $2::timestamptz + make_interval(secs => i), f
     from unnest($3::text[]) with ordinality x(f, i)`,
    [ORGS.acme, new Date(NOW.getTime() - 40 * DAY * 1000), [plain, ...odd, ...up]],
  );
  const found = await entriesOf(new Copy(services, await announced()).stream());
  const { files, missingFiles } = manifestOf(found);
  expect(files.map((f) => f.from)).toEqual([plain, ...odd]);
  expect(files.map((f) => f.name)).toEqual([
    `files/${plain}`,
    ...['renamed/2', 'renamed/3', 'renamed/4', 'renamed/5'],
  ]);
  for (const { name, from } of files) expect(found.get(name)!.toString()).toBe(from);
  expect(missingFiles).toEqual(up);
});

it('names a file that goes while it is read, and has all others', async () => {
  await empty();
  await services.blob!.put('things/stays', 'x');
  await services.blob!.put('things/goes', 'x');
  await e.db.sql(
    `insert into things (org, at, file) select $1, $2::timestamptz + make_interval(secs => i), f from unnest(array['things/goes', 'things/stays']) with ordinality x(f, i)`,
    [ORGS.acme, new Date(NOW.getTime() - 40 * DAY * 1000)],
  );
  const going = {
    ...services.blob!,
    stream: async (name: string) => {
      const opened = await services.blob!.stream(name);
      if (name === 'things/goes') await services.blob!.del([name]);
      return opened;
    },
  };
  const found = await entriesOf(new Copy({ ...services, blob: going }, await announced()).stream());
  expect(manifestOf(found)).toMatchObject({
    files: [{ from: 'things/stays' }],
    missingFiles: ['things/goes'],
  });
});
