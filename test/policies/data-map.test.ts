import { describe, expect, it } from 'vitest';
import { policies } from '@/lib/policies';
import { definePermanentTable } from '@/lib/policies/contract';
import { dataMap } from '@/lib/policies/data-map';
import { type DataMapInput, defineDataMap, permanentOf } from '@/lib/policies/data-map-contract';
import { lineOf } from '@/lib/policies/data-map-line';

const blocked = definePermanentTable({
  name: 'blocked',
  description: 'Addresses nobody writes to.',
  justification: 'They objected, and that has no end.',
  ground: 'GDPR Art. 21(3)',
  table: { schema: 'public', name: 'blocked' },
});

describe('the data map', () => {
  it('keeps for each column its classification and what an erasure does with it', () => {
    const [users, invoices] = defineDataMap({
      'public.users': {
        kept: 'while the account lasts',
        subject: 'user',
        confidential: { delete: ['email'] },
      },
      'billing.Invoice': {
        policy: 'invoices',
        internal: { mask: { phone: null, ip: 'hash', name: { constant: 'a customer' } } },
        restricted: {
          retain: { columns: ['vat'], ground: 'tax law, AO 147', until: { years: 10, after: 'paid_at' } },
        },
        impersonal: ['city'],
      },
    });
    expect(users).toMatchObject({
      subject: 'user',
      decision: { kind: 'kept', words: 'while the account lasts' },
    });
    expect(users?.columns).toEqual([
      { column: 'email', classification: 'confidential', handling: { kind: 'delete' } },
    ]);
    expect(invoices).toMatchObject({
      label: 'billing.Invoice',
      table: { schema: 'billing', name: 'Invoice' },
      decision: { kind: 'policy', words: 'invoices' },
      impersonal: ['city'],
    });
    expect(invoices?.columns.map((c) => [c.column, c.classification, c.handling])).toEqual([
      ['phone', 'internal', { kind: 'mask', leaves: null }],
      ['ip', 'internal', { kind: 'mask', leaves: 'hash' }],
      ['name', 'internal', { kind: 'mask', leaves: { constant: 'a customer' } }],
      [
        'vat',
        'restricted',
        { kind: 'retain', ground: 'tax law, AO 147', until: { years: 10, after: 'paid_at' } },
      ],
    ]);
  });

  it.each<[string, DataMapInput, RegExp]>([
    ['a table without its schema', { users: { undecided: true } }, /- users: must be schema and table/],
    ['no decision', { 'public.a': {} }, /- public\.a: say one of policy, permanent, kept/],
    [
      'two',
      { 'public.a': { policy: 'a', undecided: true } },
      /- public\.a\.undecided: the table is policy already/,
    ],
    ['a ground of one word', { 'public.a': { kept: 'law' } }, /- public\.a\.kept: say it in a few words/],
    [
      'no column',
      { 'public.a': { undecided: true, internal: { delete: [] } } },
      /- public\.a\.internal\.delete: /,
    ],
    [
      'a word it does not know',
      { 'public.a': { undecided: true, secret: {} } as never },
      /- public\.a: Unrecognized key: "secret"/,
    ],
    [
      'a mask it does not know',
      { 'public.a': { undecided: true, internal: { mask: { phone: 'stars' as never } } } },
      /- public\.a\.internal\.mask\.phone: must be null, 'hash' or/,
    ],
    [
      'a column twice',
      { 'public.a': { undecided: true, internal: { delete: ['x'] }, impersonal: ['x'] } },
      /- public\.a: column x is named twice/,
    ],
    [
      'something that stays in a row that goes',
      { 'public.a': { undecided: true, internal: { delete: ['x'], mask: { y: null } } } },
      /- public\.a\.internal\.mask: an erasure deletes the row with x, so nothing of y can stay/,
    ],
    [
      'a permanent row that goes',
      { 'public.a': { permanent: 'so says the law', internal: { delete: ['x'] } } },
      /- public\.a\.internal\.delete: rows of a permanent table never go/,
    ],
    [
      'a policy as the end where there is none',
      {
        'public.a': {
          kept: 'for tax law',
          internal: { retain: { columns: ['x'], ground: 'for tax law', until: 'policy' } },
        },
      },
      /- public\.a\.internal\.retain\.until: no policy deletes x/,
    ],
    [
      'retention without an end',
      {
        'public.a': {
          kept: 'for tax law',
          internal: { retain: { columns: ['x'], ground: 'tax law' } as never },
        },
      },
      /- public\.a\.internal\.retain/,
    ],
  ])('refuses %s, by table and field', (_, input, why) => {
    expect(() => defineDataMap(input)).toThrow(why);
  });

  it('names every problem, not the first alone', () => {
    const input = {
      'public.a': {},
      'public.b': { undecided: true, internal: { delete: ['x'] }, impersonal: ['x'] },
    };
    expect(() => defineDataMap(input as DataMapInput)).toThrow(
      /public\.a: say one of[\s\S]*public\.b: column x/,
    );
  });
});

describe('permanent tables', () => {
  it('are those registered and those the map says so of', () => {
    const map = defineDataMap({
      'public.blocked': { permanent: 'blocked' },
      'legal.Objection': { permanent: 'objections count forever' },
      'public.users': { kept: 'while the account lasts' },
    });
    expect(permanentOf(map, [blocked]).map((t) => [t.name, t.table.name, t.ground])).toEqual([
      ['blocked', 'blocked', 'GDPR Art. 21(3)'],
      ['legal-objection', 'Objection', 'objections count forever'],
    ]);
  });

  it.each<[string, DataMapInput, RegExp]>([
    [
      'another decision for a registered table',
      { 'public.blocked': { undecided: true } },
      /say permanent: 'blocked'/,
    ],
    [
      'a ground of its own for one',
      { 'public.blocked': { permanent: 'we say so too' } },
      /say permanent: 'blocked'/,
    ],
    [
      'a name that is not registered',
      { 'public.a': { permanent: 'blokced' } },
      /no permanent table is called blokced/,
    ],
  ])('are refused with %s', (_, input, why) => {
    expect(() => permanentOf(defineDataMap(input), [blocked])).toThrow(why);
  });
});

describe('a line', () => {
  it('is what the map reads: one table, on one line', () => {
    const input: DataMapInput[string] = {
      kept: "the customer's own",
      subject: 'user',
      restricted: { mask: { Name: null, 'first name': { constant: 'a\\b' } } },
      impersonal: ['city'],
    };
    const line = lineOf('public.User', input);
    expect(line).not.toContain('\n');
    expect(line).toMatch(/^ {2}'public\.User': \{ kept: 'the customer\\'s own', subject: 'user', .*\},$/);
    const read = new Function(`return {\n${line}\n}`)() as DataMapInput;
    expect(read).toEqual({ 'public.User': input });
  });
});

describe('the map that is registered', () => {
  it('names policies that there are', () => {
    const named = dataMap.filter((t) => t.decision.kind === 'policy').map((t) => t.decision.words);
    expect(named.filter((name) => !policies.some((p) => p.name === name))).toEqual([]);
  });
});
