/** Imports go one way: each room of lib sees those below it and no other; nothing that is deployed sees the workshop. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

/**
 * The houses of lib and, where a house has floors of its own, its rooms, from the bottom to the top. Each may import
 * those that stand before it, also types. app is every route and page, and what Next.js starts with.
 */
const ORDER: readonly string[] = [
  'platform',
  'policies',
  'services',
  ...['files', 'files/archive', 'files/reconcile'],
  ...['engine/statement', 'engine/archive', 'engine/guard', 'engine/run', 'engine'],
  ...['operators', 'operators/audit', 'operators/records'],
  'rights',
  'orders',
  ...['watch', 'watch/backlog', 'watch/drift', 'watch/plan'],
  ...['watch/quality', 'watch/metrics', 'watch/health'],
  'http',
  'app',
  // The business that ships as an example, and the workshop, which is never deployed.
  ...['example', 'dev'],
  'test',
];

/** The example is registered where policies and the order review of one's own would be. */
const REGISTERS: Readonly<Record<string, string>> = {
  'lib/policies/index.ts': 'lib/example/policies/index.ts',
  'lib/policies/data-map.ts': 'lib/example/data-map.ts',
  'lib/policies/order-review.ts': 'lib/example/order-review.ts',
};

interface Import {
  readonly from: string;
  readonly to: string;
}

const CODE = /\.[cm]?[jt]sx?$/;
const inFolder = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => path.posix.join(folder, file));
const sources = [...inFolder('app'), ...inFolder('lib'), ...readdirSync('.')].filter(
  (file) => CODE.test(file) && statSync(file).isFile(),
);

/** `import … from`, `export … from`, `import '…'`, `import('…')` and `require('…')`, with and without `type`. */
const specifiers = (text: string): string[] =>
  [...text.matchAll(/(?:\bfrom|\bimport|\brequire)\s*\(?\s*['"]([^'"\n]+)['"]/g)].map((m) => m[1]!);

/** The file a specifier means; undefined for packages, and for words in a text that look like an import. */
function fileOf(specifier: string, from: string): string | undefined {
  if (!/^(\.{1,2}|@)\//.test(specifier)) return undefined;
  const to = specifier.startsWith('@/')
    ? specifier.slice(2)
    : path.posix.join(path.posix.dirname(from), specifier);
  const files = [to, `${to}.ts`, `${to}.tsx`, `${to}/index.ts`];
  return files.find((file) => CODE.test(file) && existsSync(file));
}

const imports: readonly Import[] = sources.flatMap((from) =>
  specifiers(readFileSync(from, 'utf8')).flatMap((specifier) => {
    const to = fileOf(specifier, from);
    return to ? [{ from, to }] : [];
  }),
);

/** The house of a file, or its room where the order tells the rooms of that house apart. */
function roomOf(file: string): string {
  const [top, house, room] = file.split('/');
  if (top === 'test') return 'test';
  if (top !== 'lib') return 'app';
  const inner = `${house}/${room}`;
  return ORDER.includes(inner) ? inner : house!.replace(CODE, '');
}

it('every room of lib has its place in the order', () => {
  const rooms = [...new Set(sources.map(roomOf))];
  expect(rooms.filter((room) => !ORDER.includes(room))).toEqual([]);
  // Some of the workshop goes with the example.
  if (existsSync('lib/example'))
    expect(ORDER.filter((room) => !rooms.includes(room) && room !== 'test')).toEqual([]);
});

it('a room imports only rooms below it', () => {
  const floor = (file: string) => ORDER.indexOf(roomOf(file));
  const offenses = imports
    .filter(({ from, to }) => floor(to) > floor(from) && REGISTERS[from] !== to)
    .map(({ from, to }) => `${from} imports ${to}: ${roomOf(from)} may not see ${roomOf(to)}`);
  expect(offenses).toEqual([]);
  expect(imports.length).toBeGreaterThan(1000);
});

it('every form of an import is read', () => {
  const text = [
    "import a, { b } from '1';",
    "import type { C } from '2';",
    "import {\n  d,\n  type E,\n} from '3';",
    "export { f } from '4';",
    "export type * from '5';",
    "import '6';",
    "const g = await import('7');",
    'const h = require("8");',
  ];
  expect(specifiers(text.join('\n'))).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
});
