import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type PolicyAnswers, policyOf } from '@/lib/dev/policy-answers';
import { exportName, policyFile, routeFile, testFile, withEntry } from '@/lib/dev/scaffold';

const answers: PolicyAnswers = {
  name: 'chat-messages',
  table: 'support.messages',
  key: 'id',
  keyType: 'bigint',
  clock: 'sent_at',
  clockType: 'timestamptz',
  days: 45,
  schedule: '20 5 * * *',
  user: 'author_id',
  description: "A customer's messages, after 45 days.",
  justification: 'Support looks back six weeks at most.',
  ground: 'GDPR Art. 5(1)(e)',
};

describe('a new policy', () => {
  it('is a declaration with the answers in it, quotes and all', () => {
    const file = policyFile(policyOf(answers));
    expect(file).toContain('export const chatMessages = definePolicy({');
    expect(file).toContain("table: { schema: 'support', name: 'messages' }");
    expect(file).toContain("description: 'A customer\\'s messages, after 45 days.'");
    expect(file).toContain("scope: { user: 'author_id' }");
  });

  it('of an expiry does not take a clock ahead of now for a fault', () => {
    for (const clock of ['expires', 'expiresAt', 'expiry_date', 'valid_until', 'ends_at']) {
      expect(policyFile(policyOf({ ...answers, clock }))).toContain('quality: { futureClocks: 1 }');
    }
    for (const clock of ['sent_at', 'created_at', 'experienced_at', 'attended_at']) {
      expect(policyFile(policyOf({ ...answers, clock }))).not.toContain('futureClocks');
    }
  });

  it('is a constant under a name that TypeScript takes, whatever the table is called', () => {
    expect(['import', 'package', 'days', 'chat-messages'].map(exportName)).toEqual([
      'importRows',
      'packageRows',
      'daysRows',
      'chatMessages',
    ]);
  });

  it('has a route like the others', () => {
    expect(routeFile('chat-messages')).toBe(`import { cronRoute } from '@/lib/http/cron-route';

export const maxDuration = 300;
export const { GET, POST, HEAD } = cronRoute('chat-messages');
`);
  });

  it('has a test that knows nothing of a database it cannot reach', () => {
    const file = testFile('chat-messages');
    expect(file).toContain('it.skipIf(!ownDatabase)');
    expect(file).toContain('problemsIn(ownDatabase, chatMessages)');
    expect(file).not.toContain('engine');
  });

  it('is imported and listed once in the registry', () => {
    const index = withEntry(readFileSync('lib/policies/index.ts', 'utf8'), 'chat-messages');
    expect(index.match(/import \{ chatMessages \} from '\.\/chat-messages';/g)).toHaveLength(1);
    expect(index).toMatch(/export const policies[^;]*\n {2}chatMessages,\n\]/);
  });

  it('is the first one where none is left', () => {
    const empty =
      "import type { Policy } from './contract';\n\nexport const policies: readonly Policy[] = registered([]);\n";
    expect(withEntry(empty, 'chat-messages')).toContain('registered([\n  chatMessages,\n])');
  });

  it.each<[string, Partial<PolicyAnswers>]>([
    ['a name with capitals', { name: 'ChatMessages' }],
    ['no days', { days: 0 }],
    ['half a day', { days: Number.NaN }],
    ['a schedule of words', { schedule: 'daily' }],
    ['a type that is SQL', { keyType: 'int; drop table x' }],
    ['an empty table', { table: 'support.' }],
  ])('is refused with %s', (_, wrong) => {
    expect(() => policyOf({ ...answers, ...wrong })).toThrow(/not valid/);
  });
});
