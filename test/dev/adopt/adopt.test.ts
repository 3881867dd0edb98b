/** The way of somebody who has a database and a clone: in a copy of the project, by the commands alone. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { copyProject } from '@/lib/dev/copy-project';
import { differences, otherChanges, remember, rowsOfAll } from '@/lib/dev/proof/adopt/truth';
import { readOnly } from '@/lib/dev/read-only';
import type { Policy } from '@/lib/policies/contract';
import type { DataMap } from '@/lib/policies/data-map-contract';
import { lookForDrift } from '@/lib/watch/drift/look';
import type { TestDatabase } from '@/test/support/database';
import { engine, fitsDatabase } from '@/test/support/engine';
import { school } from '@/test/support/school';

/** Processes of their own, on a machine that does other things. */
const LONG = 180_000;
const CHOSEN: readonly [string, string, string][] = [
  ['VerificationToken', '90d', 'verification-token'],
  ['Lesson', '30d', 'lesson'],
  ['office.letters', '60d', 'office-letters'],
  ['site.django_session', '30d', 'site-django-session'],
  ['studio.recordings', '30d', 'studio-recordings'],
  ['studio.usage_events', '120d', 'studio-usage-events'],
];

let db: TestDatabase;
let copy: string;

beforeAll(async () => {
  db = await school();
  copy = mkdtempSync(path.join(tmpdir(), 'lapse-adopt-test-'));
  copyProject(copy, { linked: true });
  if (existsSync('lib/example')) await command('lib/example/remove.ts');
}, LONG);
afterAll(async () => {
  rmSync(copy, { recursive: true, force: true });
  await db.stop();
});

/** This process waits without standing still, so that a command that hangs ends with the limit of its test. */
function command(script: string, ...args: string[]): Promise<{ code: unknown; said: string }> {
  return new Promise((done) => {
    execFile(
      process.execPath,
      ['node_modules/tsx/dist/cli.mjs', script, ...args],
      {
        cwd: copy,
        env: { ...process.env, MIGRATION_DATABASE_URL: db.ownerUrl, DATABASE_URL: db.ownerUrl },
        timeout: LONG,
      },
      (error, stdout, stderr) =>
        done({ code: error?.code ?? (error ? null : 0), said: `${stdout}${stderr}` }),
    );
  });
}
const adopt = (...args: string[]) => command('lib/dev/cli/adopt.ts', ...args);
const file = (name: string) => readFileSync(path.join(copy, name), 'utf8');
const ANSWERS = ['--reason', 'nobody asks for older ones', '--ground', 'GDPR Art. 5(1)(e)'];

/** As the copy declares it. */
async function declared(name: string): Promise<Policy> {
  const module = (await import(pathToFileURL(path.join(copy, 'lib/policies', `${name}.ts`)).href)) as Record<
    string,
    Policy
  >;
  return Object.values(module)[0]!;
}

it(
  'writes nothing where a question is open, a table is unknown, or the engine would refuse',
  async () => {
    const before = file('lib/policies/data-map.ts');
    expect(await adopt('--table', 'Lesson', '--keep', '30d', '--yes')).toMatchObject({
      code: 1,
      said: expect.stringContaining('lacks --reason, --ground'),
    });
    expect(await adopt('--table', 'lessons', '--yes', ...ANSWERS, '--keep', '30d')).toMatchObject({
      code: 1,
      said: expect.stringContaining('no table lessons'),
    });
    const kept = await adopt('--table', 'studio.outbox', '--keep', '30d', '--yes', ...ANSWERS);
    expect(kept).toMatchObject({ code: 1, said: expect.stringContaining('trigger "keep"') });
    expect(await adopt('--table', 'Lesson', '--keep', '30d', ...ANSWERS)).toMatchObject({
      code: 1,
      said: expect.stringContaining('--yes'),
    });
    expect(file('lib/policies/data-map.ts')).toBe(before);
    expect(existsSync(path.join(copy, 'lib/migrations/adopt.sql'))).toBe(false);
  },
  LONG,
);

it(
  'writes policies that fit after its own SQL, and delete exactly the rows that must go',
  async () => {
    const done = await adopt(
      ...ANSWERS,
      ...CHOSEN.flatMap(([table, keep]) => ['--table', table, '--keep', keep]),
      '--yes',
      '--apply',
    );
    expect(done.said).toMatch(/(\d+) of \1 statements ran/);
    expect(done.code).toBe(0);
    expect(done.said).toContain(CHOSEN.map(([, , name]) => `${name}: fits`).join('\n'));

    const now = new Date();
    const e = await engine({ db, now });
    const owner = new Client({ connectionString: db.ownerUrl });
    await owner.connect();
    try {
      const before = await rowsOfAll(owner);
      const truths = [];
      for (const [, , name] of CHOSEN) {
        const policy = await declared(name);
        expect(await fitsDatabase(e, policy)).toEqual([]);
        const truth = await remember(owner, policy, now);
        expect(truth.mustGo, name).toBeGreaterThan(10);
        expect(truth.mustGo, name).toBeLessThan(truth.total);
        truths.push(truth);
      }
      for (const { policy, mustGo } of truths) {
        const dry = await e.run(policy, { dryRun: true });
        expect(dry.preview, policy.name).toMatchObject({ expired: mustGo, complete: true });
        expect(await e.run(policy), policy.name).toMatchObject({ outcome: 'succeeded', deleted: mustGo });
      }
      for (const truth of truths) expect(await differences(owner, truth)).toEqual([]);
      expect(otherChanges(before, await rowsOfAll(owner), truths)).toEqual([]);
      const files = await db.sql(
        "select count(*)::int as n from retention.outbox where url like '%/recordings/%'",
      );
      expect(files).toEqual([{ n: truths.find((t) => t.policy.name === 'studio-recordings')!.mustGo }]);
    } finally {
      await owner.end();
    }
  },
  LONG,
);

it('gives every table its line in the data map, and what is personal its handling', async () => {
  const { dataMap } = (await import(pathToFileURL(path.join(copy, 'lib/policies/data-map.ts')).href)) as {
    dataMap: {
      label: string;
      decision: { kind: string; words: string | null };
      columns: { column: string }[];
    }[];
  };
  const { rows } = {
    rows: await db.sql<{ label: string }>(
      `select n.nspname || '.' || c.relname as label from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and not c.relispartition and n.nspname in ('public', 'office', 'site', 'studio', 'drizzle') order by 1`,
    ),
  };
  expect(dataMap.map((t) => t.label).sort()).toEqual(rows.map((r) => r.label).sort());
  const of = (label: string) => dataMap.find((t) => t.label === label)!;
  expect(of('public.LessonNote')).toMatchObject({ decision: { words: 'lesson' } });
  expect(of('public.VerificationToken').columns.map((c) => c.column)).toContain('identifier');
  expect(of('site.django_migrations').decision.kind).toBe('technical');
  expect(of('public.User')).toMatchObject({
    decision: { kind: 'undecided' },
    columns: [{ column: 'email' }, { column: 'name' }],
  });
});

it('leaves the running system nothing to warn of but what nobody has decided', async () => {
  const imported = async (name: string) => import(pathToFileURL(path.join(copy, name)).href);
  const { dataMap } = (await imported('lib/policies/data-map.ts')) as { dataMap: DataMap };
  const { policies } = (await imported('lib/policies/index.ts')) as { policies: Policy[] };
  const client = new Client({ connectionString: db.ownerUrl });
  await client.connect();
  try {
    const found = await lookForDrift(readOnly(client), { dataMap, policies });
    // Nobody governs the tables that such a foreign key points at: whether to index it is for its owner to say.
    const open = ['undecided', 'foreign-key'];
    expect(found.filter((f) => !open.includes(f.kind)).map((f) => f.problem)).toEqual([]);
    expect(found.length).toBeGreaterThan(10);
  } finally {
    await client.end();
  }
  const told = file('docs/RETENTION.md').match(/nobody asks for older ones/gi) ?? [];
  expect(told.length).toBeGreaterThanOrEqual(CHOSEN.length);
});

it(
  'run again adds only what is new, and keeps what a person wrote',
  async () => {
    const names = [
      'lib/policies/data-map.ts',
      'lib/policies/index.ts',
      'lib/migrations/adopt.sql',
      'lib/policies/lesson.ts',
    ];
    const ours =
      "'public.User': { kept: 'while the account lasts', confidential: { mask: { email: null, name: null } } }, // ours\n";
    writeFileSync(
      path.join(copy, names[0]!),
      file(names[0]!).replace(/'public\.User': \{ undecided.*\n/, ours),
    );
    const before = names.map(file);
    expect(before[0]).toContain(ours);
    expect(await adopt('--yes')).toMatchObject({ code: 0, said: expect.stringContaining('Nothing new') });
    expect(names.map(file)).toEqual(before);

    await db.sql('create table office.faxes (id bigserial primary key, number text, sent_at timestamptz)');
    expect((await adopt('--yes')).code).toBe(0);
    expect(file(names[0]!)).toBe(
      before[0]!.replace('\n});', "\n  'office.faxes': { undecided: true },\n});"),
    );
    expect(names.slice(1).map(file)).toEqual(before.slice(1));
  },
  LONG,
);
