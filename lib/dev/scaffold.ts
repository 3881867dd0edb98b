/**
 * The files of a policy, as text: its declaration, its three-line route, its test, and its place in the register. The
 * one writer of policies: `npm run adopt` and `npm run policy:new` differ only in who answers.
 */
import { definePolicy, type Period, type PolicyInput } from '../policies/contract';
import { written } from '../policies/typescript';

/** Words that cannot be the name of a constant, and names the file uses itself. */
const TAKEN = new Set(
  `break case catch class const continue debugger default delete do else enum export extends false finally for function if
  import in instanceof new null return super switch this throw true try typeof var void while with yield let static await
  async package private public interface protected implements arguments eval days hours definePolicy policies`.split(
    /\s+/,
  ),
);

/** `quiz-responses` → `quizResponses` */
export function exportName(name: string): string {
  const camel = name.replace(/-([a-z0-9])/g, (_, c: string) => c.toUpperCase());
  return TAKEN.has(camel) ? `${camel}Rows` : camel;
}

const literal = (value: unknown): string =>
  written(value, (object) => ('seconds' in object ? period(object as Period) : undefined));

function period({ seconds }: Period): string {
  if (seconds === null) return 'forever()';
  return seconds % 86_400 === 0 ? `days(${seconds / 86_400})` : `hours(${seconds / 3600})`;
}

/** What stands above a field. */
type Remarks = Partial<Record<keyof PolicyInput, string>>;

/** Throws PolicyError, so that nothing is written that would not start. */
export function policyFile(input: PolicyInput, remarks: Remarks = {}): string {
  definePolicy(input);
  const fields = Object.entries(input)
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) => {
      const remark = remarks[field as keyof PolicyInput];
      return `${remark ? `  // ${remark}\n` : ''}  ${field}: ${literal(value)},\n`;
    });
  const used = ['days', 'definePolicy', 'forever', 'hours'].filter(
    (name) => name === 'definePolicy' || fields.some((f) => f.includes(`${name}(`)),
  );
  return `/** ${input.description} */
import { ${used.join(', ')} } from './contract';

export const ${exportName(input.name)} = definePolicy({
${fields.join('')}});
`;
}

export const routeFile = (name: string): string => `import { cronRoute } from '@/lib/http/cron-route';

export const maxDuration = 300;
export const { GET, POST, HEAD } = cronRoute('${name}');
`;

export const testFile = (name: string): string => `import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { policies } from '@/lib/policies';
import { ${exportName(name)} } from '@/lib/policies/${name}';
import { ownDatabase, problemsIn } from '../support/own-database';

it('${name} is listed and has its route', () => {
  expect(policies.map((p) => p.name)).toContain('${name}');
  expect(existsSync('app/api/cron/${name}/route.ts')).toBe(true);
});

// Your own database: \`npm run policy:check\` says the same of every policy.
it.skipIf(!ownDatabase)('${name} fits the database that TEST_POSTGRES_URL names', async () => {
  expect(await problemsIn(ownDatabase, ${exportName(name)})).toEqual([]);
});
`;

/** lib/policies/index.ts with the policy imported and listed. Throws when its place cannot be found. */
export function withEntry(index: string, name: string): string {
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
