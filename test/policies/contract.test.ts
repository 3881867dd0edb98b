import { describe, expect, it } from 'vitest';
import { PolicyError } from '@/lib/platform/errors';
import { registered } from '@/lib/policies';
import { days, definePermanentTable, type PolicyInput } from '@/lib/policies/contract';
import { thingsPolicy } from '../support/engine';

const refused = (changes: Partial<PolicyInput>): string => {
  try {
    thingsPolicy(changes);
  } catch (error) {
    if (error instanceof PolicyError) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
};

describe('a declaration that could delete the wrong thing is refused when the process starts', () => {
  it.each<[string, Partial<PolicyInput>, string]>([
    ['two statements in where', { where: 'true; delete from users' }, 'where'],
    ['a comment in where', { where: 'true -- and' }, 'where'],
    ['a parameter in where', { where: 't.a = $1' }, 'where'],
    ['a name that is no route', { name: 'Quiz Responses' }, 'name'],
    ['a type that is SQL', { key: [{ column: 'id', type: 'uuid); drop table users' }] }, 'key'],
    ['no key', { key: [] }, 'key'],
    ['no rule', { rules: [] }, 'rules'],
    ['a period of nothing', { rules: [{ label: 'all', keepFor: { seconds: 0 } }] }, 'keepFor'],
    ['a negative period', { rules: [{ label: 'all', keepFor: days(-3) }] }, 'keepFor'],
    ['a schedule with names', { schedule: { run: '0 2 * JAN *' } }, 'schedule'],
    ['a schedule of six fields', { schedule: { run: '0 0 2 * * *' } }, 'schedule'],
    ['a schedule of a minute there is not', { schedule: { run: '99 2 * * *' } }, 'schedule'],
    ['a schedule of a day there is not', { schedule: { run: '0 2 31 2 *' } }, 'schedule'],
    ['a resumption that never comes', { schedule: { run: '0 2 * * *', resume: '0 24 * * *' } }, 'schedule'],
    ['a zone nobody knows', { clock: { column: 'at', type: 'timestamp', zone: 'Mars/Olympus' } }, 'zone'],
    [
      'rows that stay, and go with one another',
      {
        strategy: { kind: 'soft-delete', column: 'gone_at', purgeAfter: days(30), dependants: 'go' },
        dependants: [
          {
            table: { name: 'things' },
            key: [{ column: 'id', type: 'uuid' }],
            references: ['part_of'],
            fate: 'delete',
          },
        ],
      },
      "dependants.0: rows that stay, marked or masked, do not go with one another; declare the reference 'block'",
    ],
    [
      'a dependant of a table whose rows do not go',
      {
        dependants: [
          {
            table: { name: 'lines' },
            via: { name: 'notes' },
            key: [{ column: 'id', type: 'int4' }],
            references: ['note'],
            fate: 'delete',
          },
        ],
      },
      'dependants.0.via: public.notes is no table whose rows go',
    ],
    [
      'two rules for one row',
      {
        rules: [
          { label: 'a', keepFor: days(1) },
          { label: 'b', keepFor: days(2) },
        ],
      },
      'rules',
    ],
    [
      'two rules that match the same',
      {
        rules: [
          { label: 'a', keepFor: days(1), match: { note: 'x' } },
          { label: 'b', keepFor: days(2), match: { note: 'x' } },
        ],
      },
      'rules',
    ],
    [
      'a dependant without the whole key',
      {
        dependants: [
          {
            table: { name: 'd' },
            key: [{ column: 'id', type: 'int' }],
            references: ['a', 'b'],
            fate: 'delete',
          },
        ],
      },
      'references',
    ],
    [
      'a tenant with rules that match',
      {
        rules: [{ label: 'free', keepFor: days(1), match: { note: 'x' } }],
        tenants: {
          table: { name: 'orgs' },
          key: { column: 'id', type: 'uuid' },
          column: 'org',
          label: 'o.plan',
        },
      },
      'chosen by the label',
    ],
    [
      'a reference of more columns than its key',
      { quality: { references: [{ columns: ['a', 'b'], table: { name: 'd' }, key: ['id'] }] } },
      'quality.references.0.key',
    ],
    [
      'a mark that is the clock',
      { strategy: { kind: 'soft-delete', column: 'at', purgeAfter: days(1) } },
      'strategy.column',
    ],
    [
      'files where the ledger and the copies of people lie',
      { files: [{ column: 'note', fate: 'delete', prefix: 'lapse/exports/' }] },
      'files.0.prefix',
    ],
    [
      'files where the archives lie',
      { files: [{ column: 'note', fate: 'delete', prefix: 'archives/' }] },
      'files.0.prefix',
    ],
    [
      'whole partitions with a condition on rows',
      { partitioned: { by: 'month' }, where: 't.note is null' },
      'where cannot spare some of its rows',
    ],
    [
      'whole partitions that are marked',
      {
        partitioned: { by: 'month' },
        strategy: { kind: 'soft-delete', column: 'gone', purgeAfter: days(1) },
      },
      'a soft delete cannot spare some of its rows',
    ],
    [
      'whole partitions whose key leaves out the clock',
      { partitioned: { by: 'month' } },
      'the key of a partitioned table includes at',
    ],
  ])('%s', (_, changes, field) => expect(refused(changes)).toContain(field));
});

it('refuses a field that means nothing, wherever it stands: a misspelled condition would spare no row', () => {
  const misspelled = {
    wher: 'not t.pinned',
    scope: { usr: 'user_id' },
    rules: [{ label: 'all', keepFor: days(30), mach: { state: 'read' } }],
    clock: { column: 'at', type: 'timestamptz', ahed: true },
  };
  const said = refused(misspelled as Partial<PolicyInput>);
  for (const field of ['wher', 'scope.usr', 'rules.0.mach', 'clock.ahed'])
    expect(said).toContain(`- ${field}: is no field of a policy`);
});

describe('a permanent table', () => {
  const blacklist = { schema: 'public', name: 'email_blacklist' };
  const permanent = [
    definePermanentTable({
      name: 'email-blacklist',
      description: 'addresses',
      justification: 'an objection holds forever',
      ground: 'test',
      table: blacklist,
    }),
  ];
  it('cannot be the table of a policy', () => {
    expect(() => registered([thingsPolicy({ table: blacklist })], permanent)).toThrow(/permanent/);
  });
  it('cannot go with the rows of a policy', () => {
    const policy = thingsPolicy({
      dependants: [
        { table: blacklist, key: [{ column: 'id', type: 'uuid' }], references: ['thing'], fate: 'delete' },
      ],
    });
    expect(() => registered([policy], permanent)).toThrow(/permanent/);
  });
});

describe('a key of text', () => {
  const keyed = (type: string, personal?: false) =>
    thingsPolicy({ key: [{ column: 'email', type, ...(personal === false ? { personal } : {}) }] });

  it.each(['text', 'varchar(200)', 'character varying', 'char(12)', 'citext', 'name', 'TEXT'])(
    'of type %s is refused, for it would stand in receipts for years',
    (type) => {
      expect(() => keyed(type)).toThrow(/key\.0\.personal.*email.*say personal: false/);
    },
  );

  it('is accepted where the policy says that it identifies no person', () => {
    expect(keyed('text', false).key).toEqual([{ column: 'email', type: 'text', personal: false }]);
  });

  it.each(['uuid', 'bigint', 'integer', '"Text"'])('of type %s is not a key of text', (type) => {
    expect(keyed(type).key).toHaveLength(1);
  });

  it('of a dependant is refused as well', () => {
    const dependant = { table: { name: 'notes' }, references: ['thing'], fate: 'delete' as const };
    expect(() =>
      thingsPolicy({ dependants: [{ ...dependant, key: [{ column: 'mail', type: 'text' }] }] }),
    ).toThrow(/dependants\.0\.key\.0\.personal/);
  });
});

it('two policies of one name are refused', () => {
  expect(() => registered([thingsPolicy(), thingsPolicy()])).toThrow(/another policy/);
});
