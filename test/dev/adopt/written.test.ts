import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { complete, inWords, readFlags, secondsOf } from '@/lib/dev/adopt/answers';
import { isMadeToPass, meaningOf } from '@/lib/dev/adopt/clocks';
import { repeatable } from '@/lib/dev/adopt/judge';
import { mapped } from '@/lib/dev/adopt/map-lines';
import { grown, stepsOf } from '@/lib/dev/adopt/sql-file';
import { defineDataMap, type TableInput } from '@/lib/policies/data-map-contract';

describe('the data map', () => {
  const file = (lines: string) =>
    `import x from 'y';\n\nexport const dataMap: DataMap = defineDataMap({\n${lines}});\n`;
  const lines = (entries: Record<string, TableInput>) => new Map(Object.entries(entries));

  it('gets a line for each table it does not know, and none twice', () => {
    const once = mapped(
      file(''),
      [],
      lines({ 'public.a': { undecided: true }, 'public.b': { policy: 'b' } }),
    );
    expect(once).toMatchObject({ written: 2, left: [] });
    expect(once.text).toBe(
      file("\n  'public.a': { undecided: true },\n  'public.b': { policy: 'b' },\n").replace(
        '({\n\n',
        '({\n',
      ),
    );
    const known = defineDataMap({ 'public.a': { undecided: true }, 'public.b': { policy: 'b' } });
    const again = mapped(
      once.text,
      known,
      lines({ 'public.a': { undecided: true }, 'public.b': { policy: 'b' } }),
    );
    expect(again).toEqual({ text: once.text, written: 0, left: [] });
  });

  it("keeps a person's decision, however it is written", () => {
    const text = file("  // ours\n  'public.a': {\n    kept: 'as long as the account', // contract\n  },\n");
    const known = defineDataMap({ 'public.a': { kept: 'as long as the account' } });
    expect(mapped(text, known, lines({ 'public.a': { undecided: true } }))).toEqual({
      text,
      written: 0,
      left: [],
    });
    const asPolicy = mapped(text, known, lines({ 'public.a': { policy: 'a' } }));
    expect(asPolicy).toMatchObject({ text, written: 0 });
    expect(asPolicy.left).toEqual([expect.stringContaining("policy: 'a'")]);
  });

  it('fills in a line that only says undecided, with what it proposed itself', () => {
    const text = file(
      "  'public.a': { undecided: true, confidential: { delete: ['email'] } },\n  'public.b': { undecided: true, impersonal: ['name'] },\n  'public.c': { undecided: true },\n",
    );
    const known = defineDataMap({
      'public.a': { undecided: true, confidential: { delete: ['email'] } },
      'public.b': { undecided: true, impersonal: ['name'] },
      'public.c': { undecided: true },
    });
    const change = mapped(
      text,
      known,
      lines({
        'public.a': { policy: 'a', confidential: { delete: ['email'] } },
        'public.b': { policy: 'b' },
        'public.c': { policy: 'c' },
      }),
    );
    expect(change.text).toContain("  'public.a': { policy: 'a', confidential: { delete: ['email'] } },\n");
    expect(change.text).toContain("  'public.b': { undecided: true, impersonal: ['name'] },\n");
    expect(change.text).toContain("  'public.c': { policy: 'c' },\n");
    expect(change).toMatchObject({ written: 2, left: [expect.stringContaining('public.b')] });
  });

  it('that ships has a form that can be added to', () => {
    const text = readFileSync('lib/policies/data-map.ts', 'utf8');
    const change = mapped(text, [], lines({ 'public.new_table': { undecided: true } }));
    expect(change.text).toContain("\n  'public.new_table': { undecided: true },\n});");
  });
});

describe('the SQL file', () => {
  const needs = [
    {
      policy: 'a',
      steps: [{ statement: 'GRANT SELECT ON "public"."a" TO lapse_app;', why: 'it may not read' }],
    },
  ];

  it('has each statement once, below its why, and reads back as it was written', () => {
    const once = grown(null, needs);
    expect(once.added).toBe(1);
    expect(stepsOf(once.text)).toEqual(needs[0]!.steps);
    expect(grown(once.text, needs)).toEqual({ text: once.text, added: 0 });
  });

  it('keeps what a person wrote into it', () => {
    const { text } = grown('-- by hand\nALTER TABLE a\n  SET (fillfactor = 90);\n', needs);
    expect(stepsOf(text).map((s) => s.statement)).toEqual([
      'ALTER TABLE a\n  SET (fillfactor = 90);',
      needs[0]!.steps[0]!.statement,
    ]);
  });

  it('that ends in the middle of a statement is refused', () => {
    expect(() => stepsOf('GRANT SELECT ON a TO b')).toThrow(/does not end/);
  });

  it('does the same when it is run twice', () => {
    expect(repeatable('CREATE INDEX CONCURRENTLY ON "public"."Session" ("expires", "id");')).toBe(
      'CREATE INDEX CONCURRENTLY IF NOT EXISTS lapse_session_expires_id ON "public"."Session" ("expires", "id");',
    );
    expect(
      repeatable(
        'CREATE TRIGGER lapse_gate BEFORE INSERT ON "a"."b" FOR EACH STATEMENT EXECUTE FUNCTION retention.gate();',
      ),
    ).toMatch(/^CREATE OR REPLACE TRIGGER lapse_gate /);
  });

  it('gives indexes of long names names that PostgreSQL can tell apart', () => {
    const index = (column: string) =>
      /IF NOT EXISTS (\S+)/.exec(
        repeatable(`CREATE INDEX ON "public"."${'a_long_name_'.repeat(5)}" ("${column}");`),
      )![1]!;
    expect(index('one').length).toBeLessThanOrEqual(63);
    expect(index('one')).not.toBe(index('two'));
  });
});

describe('answers by flags', () => {
  it('belong to the table before them; those before the first belong to all', () => {
    const { answers } = readFlags([
      '--ground',
      'g',
      '--table',
      'a',
      '--keep',
      '30d',
      '--table',
      'b',
      '--keep',
      '2y',
      '--ground',
      'own',
    ]);
    expect(answers).toEqual([
      { table: 'a', keep: '30d', ground: 'g' },
      { table: 'b', keep: '2y', ground: 'own' },
    ]);
  });

  it.each([
    ['12h', 43_200, '12 hours'],
    ['30d', 2_592_000, '30 days'],
    ['6 weeks', 3_628_800, '42 days'],
    ['1y', 31_536_000, '365 days'],
  ])('%s is a period', (keep, seconds, words) => {
    expect(secondsOf(keep)).toBe(seconds);
    expect(inWords(seconds)).toBe(words);
  });

  it('that are missing are asked for until they are answers', async () => {
    const said = ['soon', '30d', 'short', 'nobody asks for older ones', 'GDPR Art. 5(1)(e)'];
    const asked: string[] = [];
    const answer = await complete({ table: 'a', clock: 'at' }, async (question) => {
      asked.push(question);
      return said.shift()!;
    });
    expect(answer).toEqual({
      table: 'a',
      clock: 'at',
      keep: '30d',
      reason: 'nobody asks for older ones',
      ground: 'GDPR Art. 5(1)(e)',
    });
    expect(asked).toHaveLength(5);
  });

  it.each(['', '30', '0d', '-5d', '5m', 'forever'])('"%s" is none', (keep) => {
    expect(() => secondsOf(keep)).toThrow(/--keep takes/);
  });
});

describe('what names say', () => {
  it.each([
    ['deletedAt', 'deleted'],
    ['discarded_at', 'deleted'],
    ['expire_date', 'expires'],
    ['expiresAt', 'expires'],
    ['valid_until', 'expires'],
    ['completedAt', 'ended'],
    ['return_date', 'ended'],
    ['created_at', 'made'],
    ['date_joined', 'made'],
    ['updatedAt', 'changed'],
    ['occurred_at', 'happened'],
    ['birth_date', 'unknown'],
    ['lastUsed', 'unknown'],
    ['start_date', 'unknown'],
    ['scheduled_for', 'unknown'],
    ['archived_at', 'unknown'],
  ])('%s means %s', (column, meaning) => {
    expect(meaningOf(column)).toBe(meaning);
  });

  it.each([
    ['chatsLimitEmailSentAt', 'Workspace', 'unknown'],
    ['reset_password_sent_at', 'users', 'unknown'],
    ['reset_token_expires_at', 'users', 'unknown'],
    ['onboarding_completed_at', 'accounts', 'unknown'],
    ['verification_expiry', 'emails', 'unknown'],
    ['refresh_token_expires_at', 'oauth_tokens', 'expires'],
    ['letterSentAt', 'Letter', 'ended'],
    ['date_completed', 'orders', 'ended'],
    ['code_expires_at', 'password_resets', 'expires'],
    ['expires_at', 'users', 'expires'],
  ])('%s of %s means %s: of what stands before it, unless that is the row', (column, table, meaning) => {
    expect(meaningOf(column, table)).toBe(meaning);
  });

  it('rows are made to pass only where the table says so', () => {
    const names = ['VerificationToken', 'audit_logs', 'webhook_events', 'login_attempts', 'sessions'];
    expect(names.filter((name) => !isMadeToPass(name))).toEqual([]);
    const kept = ['users', 'Webhook', 'events', 'messages', 'orders', 'invoices', 'jobs', 'blogs'];
    expect(kept.filter(isMadeToPass)).toEqual([]);
  });
});
