/** There is one way to ask the database: a value composed with `sql`, read by its own reader, sent by `ask`. */
import { expect, it } from 'vitest';
import { calledBy, core, lineOf, type Node, nodes, parsed, type Source } from './support/syntax';

/** Where the login is looked at, the session is put in front and the request is made. */
const DOOR = ['lib/platform/database.ts', 'lib/platform/login.ts', 'lib/platform/session.ts'];
/** What returns the answers of several statements in their order. */
const IN_ORDER = ['transaction', 'askEach'];
/**
 * The beginning of a statement, or what only SQL says. Statements are written small; one that a person is told to run
 * is written in capitals, and is never sent.
 */
const STATEMENT = new RegExp(
  [
    /^\s*(select|insert into|delete from)\s/,
    /^\s*(with\s+\S+\s+as|update\s+(only\s+)?\S+\s+(\S+\s+)?set)\s/,
    /^\s*(exists|coalesce)\s*\(/,
    /\b(from|join|update|into)\s+(only\s+)?retention\./,
    /\bwhere\s+\S+\s*(=|<|>|in\s*\()/,
  ]
    .map((part) => part.source)
    .join('|'),
);

type Rule = (node: Node, parent: Node | undefined, source: Source) => boolean;

const sendsItself: Rule = (node, _, { file }) =>
  node.type === 'CallExpression' && calledBy(node) === 'transaction' && !DOOR.includes(file);

const placesASession: Rule = (node, _, { file }) =>
  node.type === 'CallExpression' &&
  ['session', 'provenBy', 'answerTimeoutMs'].includes(calledBy(node) ?? '') &&
  !DOOR.includes(file);

const readsByPlace: Rule = (node) => {
  const [what, by] =
    node.type === 'VariableDeclarator'
      ? [node.init, (node.id as Node).type === 'ArrayPattern']
      : node.type === 'MemberExpression'
        ? [node.object, (node.property as Node).type === 'Literal']
        : [null, false];
  return by && what !== null && IN_ORDER.includes(calledBy(what as Node) ?? '');
};

const joinsText: Rule = (node, parent) =>
  node.type === 'TemplateLiteral' &&
  parent?.type !== 'TaggedTemplateExpression' &&
  (node.expressions as Node[]).length > 0 &&
  STATEMENT.test((node.quasis as { value: { cooked: string } }[]).map((q) => q.value.cooked).join('$'));

const breaking = (rule: Rule, sources: readonly Source[]): string[] =>
  sources.flatMap((source) =>
    [...nodes(source.program)]
      .filter(([node, parent]) => rule(node, parent, source))
      .map(([node]) => `${source.file}:${lineOf(source, node.start)}`),
  );

const lib = core();

it('only the platform sends a request to the database', () => {
  expect(breaking(sendsItself, lib)).toEqual([]);
});

it('the session, its time and an operator’s token are put in front in one place', () => {
  expect(breaking(placesASession, lib)).toEqual([]);
});

it('no answer is read by its place among others', () => {
  expect(breaking(readsByPlace, lib)).toEqual([]);
});

it('no SQL is joined as text', () => {
  expect(breaking(joinsText, lib)).toEqual([]);
});

it.each<[string, Rule, string]>([
  ['a request of one’s own', sendsItself, 'await services.database.transaction([s], { timeoutMs: 1 });'],
  ['a session by hand', placesASession, 'const all = [session(5_000), statement];'],
  ['an answer by its place', readsByPlace, 'const [, second] = await askEach(database, queries, limits);'],
  ['a row by its place', readsByPlace, 'const second = (await database.transaction(all, options))[1];'],
  ['a value in a text', joinsText, `const text = \`select 1 from things where id = \${id}\`;`],
  ['a name in a text', joinsText, `const text = \`delete from \${table} t\`;`],
  ['a change in a text', joinsText, `const text = \`update only \${table} t set a = 1\`;`],
  ['a with in a text', joinsText, `const text = \`with gone as (\${deleted}) select 1\`;`],
  ['a part of a statement', joinsText, `const part = \`exists (select 1 from \${table})\`;`],
])('is found: %s', (_, rule, text) => {
  expect(breaking(rule, [parsed('lib/files/some.ts', text)])).toEqual(['lib/files/some.ts:1']);
});

it('what is composed with sql, or told to a person, is not', () => {
  const fine = [
    `const a = sql\`select 1 from \${table} where id = \${id}\`;`,
    `const b = \`GRANT SELECT ON \${name} TO lapse_app;\`;`,
    `const c = \`with \${n} that go along\`;`,
    'const [first] = await askOne(database, query, limits);',
  ].join('\n');
  for (const rule of [sendsItself, placesASession, readsByPlace, joinsText])
    expect(breaking(rule, [parsed('lib/files/some.ts', fine)])).toEqual([]);
});
