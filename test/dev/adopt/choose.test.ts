import { afterAll, beforeAll, expect, it } from 'vitest';
import { readFlags } from '@/lib/dev/adopt/answers';
import { askedFor, type Seen, tableOf } from '@/lib/dev/adopt/choose';
import { reading } from '@/lib/dev/adopt/read-only';
import { survey } from '@/lib/dev/adopt/survey';
import { verdicts } from '@/lib/dev/adopt/verdicts';
import type { TestDatabase } from '@/test/support/database';
import { school } from '@/test/support/school';

let db: TestDatabase;
let seen: Seen;
beforeAll(async () => {
  db = await school();
  seen = await reading(db.ownerUrl, async (reader) => {
    const found = await survey(reader);
    return { survey: found, verdicts: await verdicts(reader, found, { policies: [], permanent: [] }) };
  });
});
afterAll(() => db.stop());

/** Somebody at a terminal who gives these answers in turn. */
function person(...answers: string[]) {
  const said: string[] = [];
  const terminal = {
    say: (line: string) => void said.push(line),
    ask: async (question: string) => {
      said.push(question);
      const answer = answers.shift();
      if (answer === undefined) throw new Error(`asked too much: ${question}`);
      return answer;
    },
  };
  return { terminal, said };
}

it('asks for each table only what the catalog cannot say', async () => {
  const { terminal, said } = person(
    'Session, site.django_session',
    '30d',
    'They are refused.',
    'GDPR',
    '1y',
    'They are refused.',
    'GDPR',
  );
  const chosen = await askedFor(readFlags([]), seen, terminal);
  expect(chosen).toEqual([
    { table: 'Session', keep: '30d', reason: 'They are refused.', ground: 'GDPR' },
    { table: 'site.django_session', keep: '1y', reason: 'They are refused.', ground: 'GDPR' },
  ]);
  expect(said).toHaveLength(7);
});

it('asks nothing about a table that the engine would refuse, and says why', async () => {
  const { terminal, said } = person('studio.outbox');
  expect(await askedFor(readFlags([]), seen, terminal)).toEqual([]);
  expect(said.at(-1)).toMatch(/trigger "keep"/);
});

it('takes no table at all for only the data map', async () => {
  expect(await askedFor(readFlags([]), seen, person('').terminal)).toEqual([]);
});

it('finds a table in whatever case, with or without its schema and quotes, and guesses at no other', async () => {
  const names = ['Lesson', 'LESSON', '"Lesson"', 'public.Lesson', 'letters', 'office.letters'];
  expect(names.map((name) => tableOf(seen, name).label)).toEqual([
    ...['Lesson', 'Lesson', 'Lesson', 'Lesson'],
    ...['office.letters', 'office.letters'],
  ]);
  for (const name of ['Lessons', 'django', 'nowhere.Lesson2', ''])
    expect(() => tableOf(seen, name)).toThrow(`there is no table ${name}`);
});
