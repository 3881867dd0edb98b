/** What `npm run policy:new` writes: a policy, its three-line route, its test, and its place in the registry. */
import { definePolicy, type PolicyInput } from '../policies/contract';

export interface NewPolicy {
  readonly name: string;
  readonly table: string;
  readonly key: string;
  readonly keyType: string;
  /** `no`: a key of text names nobody. */
  readonly keyPersonal?: string;
  readonly clock: string;
  readonly clockType: 'timestamptz' | 'timestamp' | 'date';
  readonly days: number;
  readonly schedule: string;
  readonly organization?: string;
  readonly user?: string;
  readonly description: string;
  readonly justification: string;
  readonly ground: string;
}

/** `quiz-responses` → `quizResponses` */
const exportName = (name: string): string => name.replace(/-([a-z0-9])/g, (_, c: string) => c.toUpperCase());

/** An expiry lies ahead of now for as long as its row is good. */
const liesAhead = (column: string): boolean =>
  /expir(es|y|ation)|until|valid_?to|(^|_)ends?_?(at|on)$/i.test(column);

const quote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** Checks the answers as the contract would, so that nothing is written that would not start. Throws PolicyError. */
export function checked(p: NewPolicy): PolicyInput {
  const [schema, table] = p.table.includes('.') ? p.table.split('.', 2) : ['public', p.table];
  const input: PolicyInput = {
    name: p.name,
    description: p.description,
    justification: p.justification,
    ground: p.ground,
    schedule: { run: p.schedule },
    table: { schema: schema ?? 'public', name: table ?? '' },
    key: [{ column: p.key, type: p.keyType, ...namesNobody(p) }],
    clock: { column: p.clock, type: p.clockType },
    rules: [{ label: 'all', keepFor: { seconds: p.days * 86_400 } }],
    scope: {
      ...(p.organization ? { organization: p.organization } : {}),
      ...(p.user ? { user: p.user } : {}),
    },
  };
  definePolicy(input);
  return input;
}

const namesNobody = (p: NewPolicy): { personal?: false } =>
  p.keyPersonal === 'no' ? { personal: false } : {};

export function policyFile(p: NewPolicy): string {
  const { schema, name } = checked(p).table as { schema: string; name: string };
  const table =
    schema === 'public' ? `{ name: ${quote(name)} }` : `{ schema: ${quote(schema)}, name: ${quote(name)} }`;
  const scope = [
    p.organization ? `organization: ${quote(p.organization)}` : '',
    p.user ? `user: ${quote(p.user)}` : '',
  ].filter(Boolean);
  return `/** ${p.description} */
import { days, definePolicy } from './contract';

export const ${exportName(p.name)} = definePolicy({
  name: ${quote(p.name)},
  description: ${quote(p.description)},
  justification: ${quote(p.justification)},
  ground: ${quote(p.ground)},
  schedule: { run: ${quote(p.schedule)} },
  table: ${table},
  key: [{ column: ${quote(p.key)}, type: ${quote(p.keyType)}${'personal' in namesNobody(p) ? ', personal: false' : ''} }],
  clock: { column: ${quote(p.clock)}, type: ${quote(p.clockType)} },
  rules: [{ label: 'all', keepFor: days(${p.days}) }],
${scope.length > 0 ? `  scope: { ${scope.join(', ')} },\n` : ''}${
  liesAhead(p.clock)
    ? `  // ${p.clock} lies ahead of now for every row that is still good: no fault of the data.\n  quality: { futureClocks: 1 },\n`
    : ''
}});
`;
}

export const routeFile = (name: string): string => `import { cronRoute } from '@/lib/http/cron-route';

export const maxDuration = 300;
export const { GET, POST, HEAD } = cronRoute('${name}');
`;

export function testFile(p: NewPolicy): string {
  return `import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { policies } from '@/lib/policies';
import { ${exportName(p.name)} } from '@/lib/policies/${p.name}';
import { ownDatabase, problemsIn } from '../support/own-database';

it('${p.name} is listed and has its route', () => {
  expect(policies.map((p) => p.name)).toContain('${p.name}');
  expect(existsSync('app/api/cron/${p.name}/route.ts')).toBe(true);
});

// Your own database: \`npm run policy:check\` says the same of every policy.
it.skipIf(!ownDatabase)('${p.name} fits the database that TEST_POSTGRES_URL names', async () => {
  expect(await problemsIn(ownDatabase, ${exportName(p.name)})).toEqual([]);
});
`;
}

/** The registry with the policy imported and listed. Throws when its place cannot be found. */
export function registered(index: string, name: string): string {
  const line = `import { ${exportName(name)} } from './${name}';\n`;
  const imports = [...index.matchAll(/^import .*;\n/gm)];
  const last = imports.at(-1);
  const list = /(export const policies: readonly Policy\[\] = [^[]*\[)([^\]]*)\]/;
  if (!last || !list.test(index))
    throw new Error('lib/policies/index.ts has another form than expected: add the policy by hand');
  const at = last.index + last[0].length;
  return (index.slice(0, at) + line + index.slice(at)).replace(list, (_, head: string, entries: string) => {
    const names = entries.split(',').map((e) => e.trim());
    return `${head}\n${[...names.filter(Boolean), exportName(name)].map((e) => `  ${e},\n`).join('')}]`;
  });
}
