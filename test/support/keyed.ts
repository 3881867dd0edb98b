/** A table with a key of given types, and the policy that governs it: all its rows have expired. */
import { days, definePolicy, type Policy, type PolicyInput } from '@/lib/policies/contract';
import type { TestDatabase } from './database';
import { DAY, NOW } from './engine';

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
/** As a cast writes it; the policy names types, never modifiers that a test would have to repeat. `char` alone is one character. */
const plain = (type: string) => type.replace(/\(.*\)/, '').replace(/^char$/, 'bpchar');

export async function keyed(
  db: TestDatabase,
  table: string,
  key: readonly (readonly [column: string, type: string])[],
  changes: Partial<PolicyInput> & { columns?: string } = {},
): Promise<Policy> {
  const { columns, ...policy } = changes;
  const names = key.map(([c]) => quoted(c)).join(', ');
  await db.sql(`create table ${quoted(table)} (${key.map(([c, t]) => `${quoted(c)} ${t}`).join(', ')},
    at timestamptz not null default '${new Date(NOW.getTime() - 40 * DAY * 1000).toISOString()}'${columns ? `, ${columns}` : ''}, primary key (${names}))`);
  await db.sql(`create index on ${quoted(table)} (at, ${names})`);
  await db.sql(`grant select, update, delete on ${quoted(table)} to lapse_app, lapse_operator`);
  return definePolicy({
    name: `keyed-${table.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`,
    description: 'keys of the tests',
    justification: 'because a test wants it so',
    ground: 'test',
    schedule: { run: '0 2 * * *' },
    table: { name: table },
    key: key.map(([column, type]) => ({ column, type: plain(type), personal: false })),
    clock: { column: 'at', type: 'timestamptz' },
    rules: [{ label: 'all', keepFor: days(30) }],
    ...policy,
  });
}
