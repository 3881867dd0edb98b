/** One spelling: American, as the schema has it, so that one search finds everything. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

/** Beginnings of words that are spelled otherwise in American English, and whole words where a beginning is no proof. */
const BRITISH = new RegExp(
  [
    '(organ|recogn|author|normal|serial|initial|minim|maxim|optim|summar|synchron|util|priorit|standard|apolog)is(e|ing|ation)',
    '(central|general|special|material|character|categor|anonym|sanit|final|custom|real|stabil|token|visual|mechan)is(e|ing|ation)',
    'emphasis(e|ing)',
    'analys(e|ed|er|ing)\\b',
    '(behavi|col|fav|hon|lab|neighb|flav|harb|rum|hum)our',
    '\\b(centre|metre|litre|fibre|theatre|grey|tyre|cheque|programmes?|whilst|amongst|towards|ageing|practise)\\b',
    '(lic|def|off|pret)ence\\b',
    '(cancel|travel|label|model|signal|level|fuel|counsel)l(ed|er|ing)',
    '\\b(fulfil|enrol|instal)(s|ment)?\\b',
    'catalogue|artefact|sceptic|judgement|acknowledgement',
    '\\b(mis)?(learnt|spelt|burnt)\\b',
    '\\bfor ever\\b',
  ].join('|'),
  'gi',
);
/** Words of others, as they have them: Neon's proxy, an attribute of HTML, a value in an adopted schema. */
const QUOTED = ['Query cancelled, connection was terminated', 'aria-labelledby', 'CANCELLED'];

const FOLDERS = ['app', 'docs', 'lib', 'test'];
const FILES = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', '.env.example'];

const texts = (): string[] =>
  FOLDERS.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => path.join(folder, file)),
  )
    .filter((file) => /\.(tsx?|mjs|css|sql|md|ya?ml|json)$/.test(file) && file !== 'test/spelling.test.ts')
    .concat(FILES);

it('code, tests and documents are spelled in American English', () => {
  const found = texts().flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line, n) =>
        [...QUOTED.reduce((rest, quote) => rest.replace(quote, ''), line).matchAll(BRITISH)].map(
          ([word]) => `${file}:${n + 1}: ${word}`,
        ),
      ),
  );
  expect(found).toEqual([]);
});
