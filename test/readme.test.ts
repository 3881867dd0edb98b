import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { examplePolicies } from '@/lib/example/policies';
import { withDerived } from '@/lib/policies/derived';
import packageJson from '../package.json';
import { testDatabase } from './support/database';

const readme = readFileSync('README.md', 'utf8');

it('names every policy that ships, and its hour', () => {
  for (const { name, schedule } of withDerived(examplePolicies)) {
    const [minute, hour] = schedule.run.split(' ');
    const when = hour === '*' ? 'hourly' : `${hour?.padStart(2, '0')}:${minute?.padStart(2, '0')}`;
    expect(readme).toMatch(new RegExp(`^\\| \`${name}\` \\|.*\\| ${when} \\|$`, 'm'));
  }
});

it('shows a whole policy, as it is', () => {
  const [, file = '', shown = ''] = /\]\((lib\/[^)]+\.ts)\):\n\n```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  expect(file).toMatch(/policies\/[a-z-]+\.ts$/);
  expect(shown).toBe(readFileSync(file, 'utf8'));
});

it('links only to what exists', () => {
  const files = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((m) => m[1]!);
  expect(files.length).toBeGreaterThan(3);
  expect(files.filter((file) => !existsSync(file))).toEqual([]);
});

it('names only commands that exist', () => {
  const text = readme + readFileSync('CONTRIBUTING.md', 'utf8');
  const commands = new Set([...text.matchAll(/npm run ([\w:-]+)/g)].map((m) => m[1]!));
  expect([...commands].filter((name) => !(name in packageJson.scripts))).toEqual([]);
});

it('names only settings that exist', () => {
  const example = readFileSync('.env.example', 'utf8');
  const names = [...readme.matchAll(/`((?:CLEANUP|LAPSE|RETENTION|UPSTASH|SENTRY)_[A-Z_]+)[`=]/g)].map(
    (m) => m[1]!,
  );
  expect(names.length).toBeGreaterThan(5);
  expect(names.filter((name) => !example.includes(name))).toEqual([]);
});

it('stops everything, and one policy that never ran, with the statements it shows', async () => {
  const [, statements = ''] = /```sql\n([\s\S]*?)```/.exec(readme) ?? [];
  const db = await testDatabase();
  try {
    for (const statement of statements.split(';').filter((text) => /\S/.test(text))) await db.sql(statement);
    expect(await db.sql('select stopped from retention.kill_switch')).toEqual([{ stopped: true }]);
    expect(await db.sql("select paused from retention.policy_state where policy = 'quiz-responses'")).toEqual(
      [{ paused: true }],
    );
  } finally {
    await db.stop();
  }
});
