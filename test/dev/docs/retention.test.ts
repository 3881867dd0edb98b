import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Declared, retentionPolicy, scheduleInWords } from '@/lib/dev/docs/retention';
import { permanentTables, policies } from '@/lib/policies';
import { contact } from '@/lib/policies/contact';
import { days, definePolicy, forever, hours, type PolicyInput } from '@/lib/policies/contract';
import { withDerived } from '@/lib/policies/derived';
import { periodInWords } from '@/lib/policies/in-words';

it('docs/RETENTION.md is what the policies declare: npm run docs:retention writes it again', () => {
  const declared = { policies, permanent: permanentTables, contact };
  expect(readFileSync('docs/RETENTION.md', 'utf8')).toBe(retentionPolicy(declared));
});

it('names every policy and permanent table there is, each with its reason and ground', () => {
  const text = readFileSync('docs/RETENTION.md', 'utf8');
  const first = policies.filter((p) => !policies.some((s) => `${s.name}-purge` === p.name));
  for (const { justification, ground } of [...first, ...permanentTables]) {
    expect(text).toContain(justification);
    expect(text).toContain(ground);
  }
});

const ask = { who: 'Ann', address: 'ann@example.com' };
const declare = (...all: readonly Partial<PolicyInput>[]): string =>
  retentionPolicy({
    policies: withDerived(
      all.map((changes) =>
        definePolicy({
          name: 'old-notes',
          description: 'Notes of people.',
          justification: 'Nobody reads them later.',
          ground: 'storage limitation',
          schedule: { run: '7 2 * * *' },
          table: { name: 'notes' },
          key: [{ column: 'id', type: 'uuid' }],
          clock: { column: 'written_at', type: 'timestamptz' },
          rules: [{ label: 'all', keepFor: days(30) }],
          ...changes,
        }),
      ),
    ),
    permanent: [],
    contact: ask,
  } satisfies Declared);

describe('tells of a policy', () => {
  it('how long, counted from what, when and why', () => {
    const text = declare({});
    expect(text).toContain('| [Old notes](#old-notes) | 30 days | written at | deleted |');
    expect(text).toContain('30 days, counted from “written at”; where that is empty, nothing is deleted.');
    expect(text).toContain('Every day at 02:07, what is past its period is deleted for good, row by row.');
    expect(text).toContain('- **On what ground.** storage limitation.');
  });

  it('each case with its period, and that the others are kept', () => {
    const text = declare({
      rules: [
        { label: 'draft', keepFor: days(1), match: { state: 'draft' } },
        { label: 'sent', keepFor: forever(), match: { state: 'sent' } },
      ],
    });
    expect(text).toContain('By case: draft 24 hours, sent forever');
    expect(text).toContain('What is none of these is kept.');
  });

  it('that of rows under a condition only those go for which it holds', () => {
    const rules = [{ label: 'closed', keepFor: days(30), match: { note_state: 'closed' } }];
    expect(declare({ rules })).toContain('Only where “note state” is “closed”. All others stay.');
    expect(declare({ where: 'not t.pinned' })).toContain(
      'Only where this condition holds: `not t.pinned`. All others stay.',
    );
    expect(declare({ rules, where: 'not t.pinned' })).toContain(
      'Only where “note state” is “closed” and this condition holds: `not t.pinned`.',
    );
    expect(declare({})).not.toContain('Which of them');
  });

  it('a soft deletion and its purge as one', () => {
    const text = declare({ strategy: { kind: 'soft-delete', column: 'gone_at', purgeAfter: days(14) } });
    expect(text).toContain('marked as deleted; gone 14 days later');
    expect(text).toContain('It is deleted for good 14 days later (every day at 03:07).');
    expect(text).not.toContain('Old notes purge');
  });

  it('what goes with it, what stays and what keeps it', () => {
    const of = (name: string, fate: 'delete' | 'keep' | 'block') => ({
      table: { name },
      key: [{ column: 'id', type: 'uuid' }],
      references: ['note_id'],
      fate,
    });
    const text = declare({
      dependants: [of('pages', 'delete'), of('note_bills', 'keep'), of('cases', 'block')],
      files: [{ column: 'scan', fate: 'delete', prefix: 'scans/' }],
    });
    expect(text).toContain('**What goes with it.** Pages.');
    expect(text).toContain('**What stays.** Note bills: they lose the reference to it.');
    expect(text).toContain('**What keeps it.** While cases still refer to it, it stays.');
    expect(text).toContain('**Files.** The files go too');
  });

  it.each([
    [{ user: 'owner' }, 'A request by a person reaches it.'],
    [{ organization: 'org' }, 'one by a person does not'],
    [{ user: 'owner', organization: 'org' }, 'A request by a person, or for an organization, reaches it.'],
    [{}, 'no request reaches it by itself'],
  ])('whether a request to erase reaches it: %o', (scope, sentence) => {
    expect(declare({ scope })).toContain(sentence);
  });
});

it('with no policy, says that nothing is deleted, and whom to ask', () => {
  const text = declare();
  expect(text).toContain('No period is declared yet: nothing is deleted automatically.');
  expect(text).toContain('Ask Ann: <ann@example.com>');
});

it.each([
  [hours(24), '24 hours'],
  [hours(1), '1 hour'],
  [hours(36), '36 hours'],
  [{ seconds: 90 * 60 }, '90 minutes'],
  [days(2), '2 days'],
  [days(365), '365 days (1 year)'],
  [days(2555), '2,555 days (7 years)'],
  [forever(), 'forever'],
])('says the period %o as “%s”', (period, words) => {
  expect(periodInWords(period)).toBe(words);
});

it.each([
  ['5 * * * *', 'every hour'],
  ['*/10 * * * *', 'every 10 minutes'],
  ['0 2 * * *', 'every day at 02:00'],
  ['0 2 * * 1', 'on the schedule 0 2 * * 1'],
])('says the schedule %s as “%s”', (cron, words) => {
  expect(scheduleInWords(cron)).toBe(words);
});
