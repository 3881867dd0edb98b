/** One name for a file: what the database judges is what the store deletes, however a row writes it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pathnameOf } from '@/lib/dev/local-cloud/blob/meta';
import { type TestDatabase, testDatabase } from '../support/database';

const STORE = { storeId: 'Store1', filesUrl: 'http://127.0.0.1:9/blob/files' };
const HOST = 'store1.private.blob.vercel-storage.com';
const HOSTS = [HOST, 'store1.public.blob.vercel-storage.com'];

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.stop());

interface Judged {
  readonly path: string;
  readonly refusal: string | null;
}
const judged = (spellings: readonly string[], prefix = ''): Promise<(Judged & { url: string })[]> =>
  db.sql(
    `select url, retention.blob_path(url) as path, retention.blob_refusal(url, $2, $3::text[]) as refusal
     from unnest($1::text[]) with ordinality x(url, n) order by n`,
    [spellings as string[], prefix, HOSTS],
  ) as never;

/** The file the store would take; null where it can make nothing of the name. */
function taken(spelling: string): string | null {
  try {
    return pathnameOf(spelling, STORE) ?? null;
  } catch {
    return null;
  }
}

const PATHS = [
  'a/b.png',
  'a/b c.png',
  'a/über ü.png',
  'a/日本/絵.png',
  'a/🎉.png',
  'a/x+y&z=1;2,3.png',
  "a/it's (1)!~*.png",
  'a/100% sure.png',
  'a/{b}|^`"<>.png',
  'outputs/a-b_c.d.e',
];
const upperHex = (c: string) =>
  [...Buffer.from(c)].map((b) => `%${b.toString(16).toUpperCase().padStart(2, '0')}`).join('');
const everyEscape = (path: string) => [...path].map((c) => (c === '/' ? c : upperHex(c))).join('');
/** Ways to write a path that all mean it. */
const same = (path: string): string[] => {
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  const url = `https://${HOST}/${encoded}`;
  return [
    path,
    `/${path}`,
    url,
    `${url}?download=1`,
    `${url}?v=2&x=%ff`,
    `http://${HOST}/${encoded}`,
    `HTTPS://${HOST.toUpperCase()}/${encoded}`,
    `https://${HOSTS[1]}/${encoded}`,
    `https://${HOST}/${encoded.replaceAll(/%[0-9A-F]{2}/g, (h) => h.toLowerCase())}`,
    `https://${HOST}/${everyEscape(path)}`,
    `https://${HOST}/${encodeURI(path)}`,
  ];
};
/** Names that somebody could read another way: never deleted by, and still seen where a live row has them. */
const odd = (path: string): string[] => {
  const url = `https://${HOST}/${path.split('/').map(encodeURIComponent).join('/')}`;
  const at = (spelled: string) => `https://${HOST}/${spelled}`;
  return [
    `${url}#t=10`,
    ` ${url}`,
    `${url}\n`,
    at(`zzz/../${encodeURI(path)}`),
    at(`zzz/%2e%2E/${encodeURI(path)}`),
    at(`./${encodeURI(path)}`),
    at(`zz%2Fz/../${encodeURI(path)}`),
    at(encodeURI(path).replace('/', '\\')),
    at(encodeURI(path).replace('/', '/\t')),
    `https://cdn.example.com/${encodeURI(path)}`,
    `https://user@${HOST}/${encodeURI(path)}`,
  ];
};
/** Names that mean no file everybody agrees on. */
const UNREADABLE = [
  '',
  '/',
  '//a/b',
  '..',
  'a/../b',
  'a//b',
  'a/b/',
  'a\\b',
  'a#b',
  'a?b',
  'a%41b',
  'https:a',
  'javascript:x',
  'a\u0007b',
  'a\u0085b',
  'x'.repeat(951),
  '界'.repeat(900),
  `https://${HOST}`,
  `https://${HOST}/`,
  `https://${HOST}/%ff.png`,
  `https://${HOST}/a%00b.png`,
  `https://${HOST}/a%zz.png`,
  `https://${HOST}/%ed%a0%80.png`,
  `https://${HOST}/%c0%af.png`,
  `https://${HOST}/a%2F..%2Fb`,
  `https://${HOST}/a%23b`,
  `https://${HOST}/a%5Cb`,
  `https://${HOST}/%2Fa`,
  `https://${HOST}/${'x'.repeat(20_000)}`,
];

describe('the canonical form of a path', () => {
  it('is the file the store takes, for every way to write it that may be deleted by', async () => {
    for (const path of PATHS) {
      for (const found of await judged(same(path))) {
        expect({ ...found, taken: taken(found.url) }).toEqual({
          url: found.url,
          path,
          refusal: null,
          taken: path,
        });
      }
    }
  });

  it('is the same for odd names too, so that a live row with one keeps its file, and none is deleted by them', async () => {
    for (const path of PATHS.filter((p) => !p.includes('%'))) {
      for (const found of await judged(odd(path))) {
        expect(found).toEqual({ url: found.url, path, refusal: expect.stringMatching(/^name\./) });
      }
    }
  });

  it('never raises, and refuses names that cannot be read', async () => {
    for (const found of await judged(UNREADABLE)) {
      expect(found.refusal, found.url.slice(0, 60)).toMatch(/^name\./);
      expect(Buffer.byteLength(found.path)).toBeLessThan(2_100);
    }
  });

  it('agrees with the store wherever it lets a name pass, over names put together at random', async () => {
    const parts = [
      'a',
      'B',
      '.',
      '..',
      '/',
      '//',
      '%2e',
      '%2F',
      '%41',
      '%c3%bc',
      '%ff',
      '%',
      '?',
      '#',
      '\\',
      ' ',
      '+',
      'ü',
      ':',
      '\t',
    ];
    let seed = 7;
    const random = (n: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * n);
    };
    const spelled = Array.from({ length: 3_000 }, () => {
      const path = Array.from({ length: 1 + random(7) }, () => parts[random(parts.length)]).join('');
      return random(2) === 0 ? path : `https://${HOST}/${path}`;
    });
    const all = await judged(spelled);
    const passed = all.filter((x) => x.refusal === null);
    expect(passed.length).toBeGreaterThan(200);
    for (const x of passed) expect([x.url, taken(x.url)]).toEqual([x.url, x.path]);
    // And the other way: whatever plain file a name means to the store, its canonical form is that file.
    const plain = new Set(
      (await judged([...new Set(all.map((x) => taken(x.url) ?? ''))])).flatMap((x) =>
        x.refusal === null ? x.url : [],
      ),
    );
    for (const x of all) {
      const file = taken(x.url);
      if (file !== null && plain.has(file)) expect([x.url, x.path]).toEqual([x.url, file.replace(/^\//, '')]);
    }
  });

  it('lies below the prefix of its column, or nothing is deleted', async () => {
    const found = await judged(
      ['tmp/a', 'tmpfiles/a', `https://${HOST}/outputs/a`, 'tmp/../outputs/a'],
      'tmp/',
    );
    expect(found.map((x) => x.refusal)).toEqual([null, 'name.outside', 'name.outside', 'name.unreadable']);
  });

  it('is evaluated for every role that writes an indexed row, without a right in the schema', async () => {
    const role = `writer_${process.pid}`;
    await db.sql(`create role ${role}`);
    try {
      await db.sql('create table shelf (file text)');
      await db.sql('create index on shelf (retention.blob_path(file))');
      await db.sql(`grant insert on shelf to ${role}`);
      const session = await db.session();
      await session.sql(`set role ${role}`);
      await session.sql("insert into shelf values ('a/b'), ('https://h/%C3%BC?x'), (null)");
      session.end();
      expect(await db.sql('select count(*)::int as n from shelf')).toEqual([{ n: 3 }]);
    } finally {
      await db.sql('drop table shelf');
      await db.sql(`drop role ${role}`);
    }
  });
});
