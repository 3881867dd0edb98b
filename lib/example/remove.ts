/**
 * `npm run example:remove`: takes the example out of the project. Its policies, their routes, what only serves them
 * (demo, bench, seed, proofs) and the tests that ask for it go; the lists that name it are rewritten, then vercel.json and
 * docs/RETENTION.md.
 * The tables of lib/migrations/example stay: the tests that stay use them. Changes files only, never a database.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { withDerived } from '../policies/derived';
import { examplePolicies } from './policies';

/** These name the example and stay: how each reads without it. */
const REWRITTEN: Readonly<Record<string, (text: string) => string>> = {
  'lib/policies/index.ts': (text) =>
    text
      .replace(/^import \{ example.* from '\.\.\/example\/policies';\n/m, '')
      .replace(/\.\.\.example\w+,?\s*/g, ''),
  'lib/policies/data-map.ts': (text) =>
    text
      .replace(/^import .* from '\.\.\/example\/data-map';\n/m, '')
      .replace(/^ *\.\.\.exampleDataMap,\n/m, ''),
  'lib/policies/order-review.ts': (text) =>
    text
      .replace(/^import .* from '\.\.\/example\/order-review';\n/m, '')
      .replace('OrderReview | undefined = exampleOrderReview;', 'OrderReview | undefined = undefined;'),
  // Exports and dependencies that only the example used stay, and must not fail the check.
  'knip.json': (text) =>
    JSON.stringify({
      ...(JSON.parse(text.replace(/^ *"lib\/example.*\n/m, '')) as object),
      ignoreExportsUsedInFile: true,
      ignoreIssues: { 'lib/dev/**': ['exports'] },
      ignoreDependencies: [
        ...['cli-progress', '@types/cli-progress', 'playwright-core', 'axe-core', 'sharp'],
        // Taken by its PostCSS plugin.
        'tailwindcss',
      ],
    }),
  'lib/dev/cli/fill.ts':
    () => `/** What \`npm run local\` and \`npm run dev\` make of a new database: Lapse's own schema. */
import type { MigrationSet } from '../migrate';

export const SETS: readonly MigrationSet[] = ['retention'];

export const fill: ((ownerUrl: string) => Promise<unknown>) | undefined = undefined;
`,
};

/** Everything else that needs the example must be in one of these: nothing that is deployed is removed by accident. */
const MAY_GO = /^(lib\/(example|dev)|test)\//;
/** Files in these folders are removed when nothing outside them leads to them any more. */
const WORKSHOP = /^(lib\/dev\/(demo|bench|proof|scale)|test\/browser)\//;

remove();

function remove(): void {
  const routes = withDerived(examplePolicies).map((p) => `app/api/cron/${p.name}`);
  const files = sources();
  const gone = withOrphans(files, dependantsOf(files));
  const refused = [...gone].filter((file) => !MAY_GO.test(file));
  if (refused.length > 0) {
    console.error(
      `nothing was removed: these need the example and are yours or Lapse's own: ${refused.join(', ')}`,
    );
    process.exit(1);
  }
  for (const [file, without] of Object.entries(REWRITTEN))
    writeFileSync(file, without(readFileSync(file, 'utf8')));
  for (const file of gone) rmSync(file);
  for (const folder of [...routes, 'lib/example']) rmSync(folder, { recursive: true, force: true });
  removeScripts();
  run('node_modules/@biomejs/biome/bin/biome', [
    'check',
    '--write',
    ...Object.keys(REWRITTEN),
    'package.json',
  ]);
  run('node_modules/tsx/dist/cli.mjs', ['lib/dev/cli/crons.ts']);
  run('node_modules/tsx/dist/cli.mjs', ['lib/dev/cli/docs-retention.ts']);
  console.log(
    `removed ${routes.length} policies with their routes, and ${gone.size} files that need the example`,
  );
  console.log(
    'README.md and docs still describe it; next: npm run adopt (docs/ADOPT.md), then npm run check and npm test',
  );
}

/** Every TypeScript file with the files it imports. */
function sources(): Map<string, string[]> {
  const all = ['app', 'lib', 'test'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => path.join(folder, file)),
  );
  return new Map(
    all.filter((file) => /\.[cm]?tsx?$/.test(file)).map((file) => [file, importsOf(file)] as const),
  );
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const named = [...text.matchAll(/(?:from|import)\s*\(?\s*'((?:@|\.\.?)\/[^']+)'/g)].map((m) => m[1]!);
  // A process of its own is started by the file's name.
  const started = [...text.matchAll(/new URL\('(\.\.?\/[^']+)', import\.meta\.url\)/g)].map((m) => m[1]!);
  return [...named, ...started].flatMap((to) => {
    const at = to.startsWith('@/') ? to.slice(2) : path.join(path.dirname(file), to);
    return [at, `${at}.ts`, `${at}.tsx`, `${at}/index.ts`].filter((f) => /\.tsx?$/.test(f) && existsSync(f));
  });
}

/** The example, and every file that cannot work without it. */
function dependantsOf(files: Map<string, string[]>): Set<string> {
  const gone = new Set([...files.keys()].filter((file) => file.startsWith('lib/example/')));
  for (let before = -1; before !== gone.size; ) {
    before = gone.size;
    for (const [file, imports] of files)
      if (!(file in REWRITTEN) && imports.some((i) => gone.has(i))) gone.add(file);
  }
  return gone;
}

/** With the files of the workshop that nothing outside it leads to any more, also where they import one another. */
function withOrphans(files: Map<string, string[]>, gone: Set<string>): Set<string> {
  const used = new Set([...files.keys()].filter((file) => !gone.has(file) && !WORKSHOP.test(file)));
  // What is added while it is walked is walked as well.
  for (const file of used) for (const i of files.get(file) ?? []) if (!gone.has(i)) used.add(i);
  const orphans = [...files.keys()].filter((file) => WORKSHOP.test(file) && !used.has(file));
  return new Set([...gone, ...orphans]);
}

/** Commands whose program has gone. */
function removeScripts(): void {
  const written = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  written.scripts = Object.fromEntries(
    Object.entries(written.scripts).filter(([, command]) => {
      const program = /^tsx (\S+\.ts)/.exec(command)?.[1];
      return program === undefined || existsSync(program);
    }),
  );
  writeFileSync('package.json', `${JSON.stringify(written, null, 2)}\n`);
}

function run(script: string, args: string[]): void {
  const done = spawnSync(process.execPath, [script, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (done.status !== 0) throw new Error(`${path.basename(script)} failed`);
}
