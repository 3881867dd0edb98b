import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

/** These two describe the example and the workshop, also where `npm run example:remove` has taken them out. */
const NEED_EXAMPLE = ['README.md', 'CONTRIBUTING.md'];
const isWhole = (file: string): boolean => !NEED_EXAMPLE.includes(file) || existsSync('lib/example');

it('links of the documents lead to files and headings that exist', () => {
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
  const documents = [
    ...['README.md', 'CHANGELOG.md', 'SECURITY.md', 'CONTRIBUTING.md'].filter(isWhole),
    ...readdirSync('docs')
      .filter((file) => file.endsWith('.md'))
      .map((file) => `docs/${file}`),
  ];
  const broken = documents.flatMap((document) =>
    [...readFileSync(document, 'utf8').matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].flatMap(
      ([link, to = '', anchor]) => {
        const target = to === '' ? document : path.join(path.dirname(document), to);
        if (!existsSync(target)) return [`${document}: ${link}`];
        if (anchor === undefined) return [];
        const headings = [...readFileSync(target, 'utf8').matchAll(/^#+ (.+)$/gm)].map((m) => slug(m[1]!));
        return headings.includes(anchor) ? [] : [`${document}: ${link}`];
      },
    ),
  );
  expect(broken).toEqual([]);
});
