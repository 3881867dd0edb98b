/** What the documents name is there: commands, settings, functions, tables and columns of the schema, addresses, actions. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import packageJson from '../../package.json';
import { type TestDatabase, testDatabase } from '../support/database';

/** Without the example its commands have gone, and these still tell of them. */
const documents = readdirSync('docs')
  .filter((file) => file.endsWith('.md'))
  .map((file) => ({ file, text: readFileSync(`docs/${file}`, 'utf8') }));
const all = (pattern: RegExp): { file: string; name: string }[] =>
  documents.flatMap(({ file, text }) => [...text.matchAll(pattern)].map((m) => ({ file, name: m[1]! })));

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.stop());

it.skipIf(!existsSync('lib/example'))('the documents name only commands that exist', () => {
  const named = all(/npm run (?:-s )?([\w:-]+)/g);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter(({ name }) => !(name in packageJson.scripts))).toEqual([]);
});

it('the documents name only settings that exist', () => {
  const example = readFileSync('.env.example', 'utf8');
  const named = all(
    /\b((?:CLEANUP|LAPSE|UPSTASH|SENTRY|ALERT|ORDER|STRIPE|METRICS|RECONCILE)_[A-Z_]*[A-Z])\b(?!_)/g,
  );
  expect(named.length).toBeGreaterThan(30);
  const development = ['LAPSE_POSTGRES_FOLDER'];
  expect(named.filter(({ name }) => !example.includes(name) && !development.includes(name))).toEqual([]);
});

it('the documents name only tables, columns and functions that exist', async () => {
  const rows = await db.sql<{ name: string }>(`
    select c.relname as name from pg_class c where c.relnamespace = 'retention'::regnamespace
    union select p.proname from pg_proc p where p.pronamespace = 'retention'::regnamespace
    union select c.relname || '.' || a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = 'retention'::regnamespace and a.attnum > 0 and not a.attisdropped`);
  const there = new Set(rows.map((r) => r.name));
  const named = all(/\bretention\.([a-z_]+(?:\.[a-z_]+)?)/g);
  expect(named.length).toBeGreaterThan(60);
  expect(named.filter(({ name }) => !there.has(name))).toEqual([]);
});

it('the documents name only addresses that exist', () => {
  const named = all(/(?<![\w.])\/(api\/[a-z-]+(?:\/[a-z-]+)?)/g);
  const there = (address: string) =>
    existsSync(`app/${address}/route.ts`) ||
    existsSync(`app/${address.replace(/\/[^/]+$/, '')}/[view]/route.ts`) ||
    existsSync(`app/${address}/[view]/route.ts`);
  expect(named.length).toBeGreaterThan(20);
  const missing = named.filter(
    ({ name }) => !there(name) && !['api/cron', 'api/audit', 'api/reports'].includes(name),
  );
  expect(existsSync('lib/example') ? missing : []).toEqual([]);
});

it('the documents name only files that exist', () => {
  const named = all(/`((?:lib|test|app)\/[\w./-]+\.(?:ts|tsx|sql))`/g);
  expect(named.length).toBeGreaterThan(3);
  expect(existsSync('lib/example') ? named.filter(({ name }) => !existsSync(name)) : []).toEqual([]);
});

it('the runbook says of every reason of a run what it means and what to do', () => {
  const source = readFileSync('lib/platform/outcome.ts', 'utf8');
  const [, union = ''] = /export type Reason =([\s\S]*?)typeof ROW_TOO_LARGE;/.exec(source) ?? [];
  const reasons = [...union.matchAll(/\| ['`]([a-z]+)/g)].map((m) => m[1]!);
  expect(reasons.length).toBeGreaterThan(15);
  const [, table = ''] = /## A run says …([\s\S]*?)\n## /.exec(readFileSync('docs/RUNBOOK.md', 'utf8')) ?? [];
  expect(reasons.filter((reason) => !new RegExp(`\`${reason}[\`.]`).test(table))).toEqual([]);
});
