/** The keys in comments and messages (rules, facts about the platform, experiments) and the documents they lead to. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const sources = ['app', 'lib'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.([cm]?tsx?|mjs|sql)$/.test(file))
    .map((file) => path.join(folder, file)),
);

/** Each tag with the files that cite it. */
function citations(pattern: RegExp): Map<string, string[]> {
  const cited = new Map<string, string[]>();
  for (const file of sources) {
    for (const [, tag = ''] of readFileSync(file, 'utf8').matchAll(pattern)) {
      cited.set(tag, [...new Set([...(cited.get(tag) ?? []), file])]);
    }
  }
  return cited;
}

/** Rules of the example's policies go with the example. */
const withoutExample = (text: string): string =>
  existsSync('lib/example') ? text : text.split('### Only in the example')[0]!;

describe.each([
  {
    file: 'docs/RULES.md',
    cites: /(?<![§\w-])([RGPMAD](?:[1-9]|1\d))(?!\w)/g,
    explains: /^\| ([A-Z]\d+) \|/gm,
  },
  { file: 'docs/PLATFORM.md', cites: /(?:PLATFORM |, )§([A-Z]\d+)/g, explains: /^### ([A-Z]\d+)\. /gm },
  { file: 'docs/DELETION.md', cites: /(?:DELETION |, )§(\d+)/g, explains: /^## (\d+)\. /gm },
])('$file', ({ file, cites, explains }) => {
  const cited = citations(cites);
  const explained = [...withoutExample(readFileSync(file, 'utf8')).matchAll(explains)].map((m) => m[1]!);

  it('explains every tag that a comment or message of the code cites', () => {
    expect(cited.size).toBeGreaterThan(5);
    const missing = [...cited].filter(([tag]) => !explained.includes(tag));
    expect(missing.map(([tag, files]) => `${tag} (cited in ${files.join(', ')})`)).toEqual([]);
  });

  it('explains each tag once, and none that no code cites', () => {
    expect(explained.filter((tag) => !cited.has(tag))).toEqual([]);
    expect(explained.filter((tag, i) => explained.indexOf(tag) !== i)).toEqual([]);
  });
});

it('every section sign in the code belongs to one of these documents', () => {
  const lost = sources.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/.*§.*/g)]
      .map(([line]) => line)
      .filter((line) => /§/.test(line.replace(/(PLATFORM|DELETION) §[A-Z]?\d+(, §[A-Z]?\d+)*/g, '')))
      .map((line) => `${file}: ${line.trim()}`),
  );
  expect(lost).toEqual([]);
});
