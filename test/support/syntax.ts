/** The syntax of what is deployed, for tests of how the code is written. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseSync } from 'oxc-parser';

/** A node of the ESTree, as far as the tests look into one. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

export interface Source {
  readonly file: string;
  readonly text: string;
  readonly program: Node;
}

/** The workshop and the example are never deployed. */
const BESIDE = /^lib\/(dev|example|migrations)\//;

export const parsed = (file: string, text: string): Source => ({
  file,
  text,
  program: parseSync(file, text, { preserveParens: false }).program as unknown as Node,
});

export const core = (): Source[] =>
  readdirSync('lib', { recursive: true, encoding: 'utf8' })
    .map((file) => path.posix.join('lib', file))
    .filter((file) => file.endsWith('.ts') && !BESIDE.test(file))
    .map((file) => parsed(file, readFileSync(file, 'utf8')));

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';

/** Every node with the one it stands in, from the outside to the inside. */
export function* nodes(node: Node, parent?: Node): Generator<readonly [Node, Node | undefined]> {
  yield [node, parent];
  for (const value of Object.values(node).flat()) if (isNode(value)) yield* nodes(value, node);
}

export const lineOf = ({ text }: Source, at: number): number => text.slice(0, at).split('\n').length;

/** `askOne` of `askOne(…)`, `transaction` of `database.transaction(…)`; undefined where a call has no name. */
export function calledBy(node: Node): string | undefined {
  if (node.type === 'AwaitExpression') return calledBy(node.argument as Node);
  if (node.type !== 'CallExpression') return undefined;
  const callee = node.callee as Node;
  const named = callee.type === 'MemberExpression' ? (callee.property as Node) : callee;
  return named.name as string | undefined;
}
