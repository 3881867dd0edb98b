import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const sources = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file))
    .map((file) => path.join(folder, file));

/** Development and proof, never deployed: they may do with their own databases what they like. */
const WORKSHOP = /^lib\/(dev|example|migrations)\//;

it('rows of a business table are deleted in one place', () => {
  const statement = /\bdelete\s+from\s+(?!retention\.)|\btruncate\s+(table\s+)?["a-z$]|\bdrop\s+table\b/i;
  const found = [...sources('app'), ...sources('lib')].filter(
    (file) =>
      !WORKSHOP.test(file) && statement.test(readFileSync(file, 'utf8').replace(/^\s*(\/?\*|\/\/).*$/gm, '')),
  );
  expect(found).toEqual(['lib/engine/statement/change.ts']);
});

it('whole partitions are dropped in one place, and rows of permanent tables removed in one', () => {
  const found = ['retention', 'functions'].flatMap((folder) =>
    readdirSync(path.join('lib/migrations', folder)).flatMap((file) => {
      const up = readFileSync(path.join('lib/migrations', folder, file), 'utf8').split(
        '-- Down Migration',
      )[0]!;
      return [...up.matchAll(/execute\s+(format\()?'(drop|delete|truncate|alter(?! index))\b/gi)].map(
        () => `${folder}/${file}`,
      );
    }),
  );
  expect(found.sort()).toEqual([
    'functions/partitions.sql',
    'functions/permanent.sql',
    'retention/0010_partitions.sql',
  ]);
});
