/** What a look for drift must not pass by. */
import type { Mutant } from '../mutant';

const looks = 'test/watch/drift/drift.test.ts';
const watched = 'test/watch/drift/watch-drift.test.ts';

export const driftMutants: readonly Mutant[] = [
  {
    id: 'Z01',
    promise: 'A partition is no table of its own, and a view that keeps rows is one.',
    file: 'lib/watch/drift/catalog.ts',
    find: "c.relkind in ('r', 'p', 'f', 'm')",
    replace: "c.relkind in ('r', 'p', 'f')",
    tests: [looks],
  },
  {
    id: 'Z02',
    promise:
      'A personal-looking column without handling is a finding, whatever its table’s line says of others.',
    file: 'lib/watch/drift/judge.ts',
    find: 'classification === null || known.includes(c.name)',
    replace: 'classification === null || known.length > 0',
    tests: [looks],
  },
  {
    id: 'Z03',
    promise: 'A policy deletes only where the data map says so.',
    file: 'lib/watch/drift/judge.ts',
    find: 'if (!first) return null;',
    replace: "if (!first || kind !== 'permanent') return null;",
    tests: [looks],
  },
  {
    id: 'Z04',
    promise: 'What is mended is taken out of the record.',
    file: 'lib/watch/drift/store.ts',
    find: 'where not exists (select from found f where f.id = d.id)',
    replace: 'where false',
    tests: [watched],
  },
  {
    id: 'Z05',
    promise: 'One policy that cannot be judged hides no other.',
    file: 'lib/watch/drift/look.ts',
    find: 'return [unread(policy.name, error)];',
    replace: 'throw error;',
    tests: [looks],
  },
  {
    id: 'Z06',
    promise: 'A row of a permanent table never goes, so none of its columns is deleted with it.',
    file: 'lib/policies/data-map-contract.ts',
    find: "if (going && decision.kind === 'permanent') {",
    replace: "if (going && decision.kind === 'technical') {",
    tests: ['test/policies/data-map.test.ts'],
  },
];
