/**
 * The graph of one subject: every table with rows of it, how they are found, and what an erasure does with them, from the
 * declared data map and the catalog. What nobody has decided is a problem with the line to add; then nothing is erased.
 */
import type { SubjectLeg } from '../../engine/statement/leg';
import { type Spelled, spell } from '../../operators/spelling';
import { type Problem, RequestError } from '../../platform/errors';
import { allOf, anyOf, type Sql, sql, type TableName, tableLabel } from '../../platform/sql';
import { type Policy, TEXT } from '../../policies/contract';
import type { MappedColumn } from '../../policies/data-map-contract';
import type { Services } from '../../services';
import type { Subject } from '../subject';
import { type Catalog, readCatalog } from './catalog';
import { type Detached, type Edges, Walker } from './edges';
import { Hashes, identifiersOf, joined, readIdentifiers } from './identifiers';
import { circleOf, leadingRows } from './leading';
import { keyOf, type Node, type Nodes, nodesOf, subjectTables } from './nodes';
import { ownChanges } from './own-changes';
import { type Change, isPending, nameOf, policyOf, unfit, unreadable } from './policy';
import { namingRows, type Rows, referringRows, rowsOf, stuckRows } from './rows';
import { type Naming, namings, type Spelling, seedsOf, spellingsOf } from './seeds';

export { Hashes };

/** One table with rows of the subject. */
interface ReachedTable {
  readonly label: string;
  readonly table: TableName;
  readonly key: ReturnType<typeof keyOf>;
  /** Whether a row `t` is one of them. */
  readonly theirs: SubjectLeg['theirs'];
  /** How its rows are found, in words. */
  readonly path: readonly string[];
  readonly action: Node['action'];
  /** Its personal data, and what the map says of each. */
  readonly columns: readonly MappedColumn[];
  readonly retained: readonly Retained[];
  /** Every column there is. */
  readonly allColumns: readonly string[];
}

export interface Retained {
  readonly columns: readonly string[];
  readonly ground: string;
  /** When it goes after all, in words. */
  readonly until: string;
}

/** One table, once: rows of it go, or stay changed. */
export interface Step {
  readonly name: string;
  readonly label: string;
  readonly kind: Change['kind'];
  readonly policy: Policy;
  readonly erasing: Policy;
  readonly leg: SubjectLeg;
  /** The same for a dry run, in which what refers to a row has not gone before it. */
  readonly previewing: Policy;
  readonly seen: SubjectLeg;
  /** Tables whose reached rows refer to these: a mask waits until they are done, or it would take away how they are found. */
  readonly after: readonly string[];
  /** Rows of a circle that wait for others of it, by which none is found any more once they are masked; null: there are none. */
  readonly waiting: SubjectLeg | null;
}

export interface Graph {
  /** As its columns print it. */
  readonly subject: Subject;
  readonly tables: readonly ReachedTable[];
  /** In the order in which they are carried out: what refers to a row before the row. */
  readonly steps: readonly Step[];
  readonly problems: readonly Problem[];
  /** Governed tables that name no such subject. */
  readonly outOfReach: readonly string[];
  /** Of its identifiers: those known before, and those its own row has now. */
  readonly identifiers: Hashes;
  /** Folders of the store that are the subject's. */
  readonly prefixes: readonly string[];
}

type Needs = Pick<Services, 'database' | 'policies' | 'dataMap' | 'settings' | 'clock'>;

/** `known`: hashes of the subject's identifiers, from when the erasure was asked for. Throws RequestError for an id that no column can hold. */
export async function graphOf(services: Needs, asked: Subject, known: Hashes = {}): Promise<Graph> {
  const { dataMap, policies, database, settings } = services;
  const labels = [
    ...dataMap.map((line) => line.label),
    ...policies.flatMap((p) => [p.table, ...p.dependants.map((d) => d.table)]).map(tableLabel),
  ];
  const catalog = await readCatalog(database, [...new Set(labels)]);
  const nodes = nodesOf(catalog, dataMap, policies);
  const all = namings(nodes, catalog, asked.scope);
  const { subject, spelling } = await spelled(services, asked, all, nodes);
  const needsKey = subjectTables(nodes, subject.scope).some((n) => (n.line?.identifiers.length ?? 0) > 0);
  const [hashing] = settings.rightsKeys;
  const now = hashing === undefined ? {} : await readIdentifiers(database, nodes, subject, spelling, hashing);
  const identifiers = joined(known, now);
  const hashed = identifiersOf(identifiers, settings.rightsKeys);
  const seeds = new Map(
    [...nodes].map(([label, node]) => [label, seedsOf(node, all, spelling, subject, hashed)] as const),
  );
  const edges = new Walker(nodes, catalog, subject).walk(seeds);
  const problems = [
    ...(needsKey && hashing === undefined ? [NO_KEY] : []),
    ...edges.problems,
    ...unfitIn(edges),
  ];
  const asOf = services.clock().toISOString();
  const assembling = { nodes, catalog, edges, subject, maskKey: settings.maskKey, asOf };
  const ordered = inOrder(assembling);
  return {
    subject,
    tables: tablesOf(assembling, ordered),
    steps: problems.length > 0 ? [] : ordered.flatMap((label) => stepsOf(assembling, label)),
    problems,
    identifiers,
    outOfReach: outOf(policies, edges),
    prefixes: subjectTables(nodes, subject.scope).flatMap((n) =>
      (n.line?.files ?? []).map((prefix) => prefix.replaceAll('{id}', subject.id)),
    ),
  };
}

const unfitIn = ({ reached, detached }: Edges): Problem[] => [
  ...[...new Set([...reached.values(), ...detached].map(({ node }) => node))].flatMap(unreadable),
  ...[...reached.values()].flatMap(({ node, goesAlong }) =>
    goesAlong || node.action === null || node.action === 'retain' ? [] : unfit(node, node.action),
  ),
  ...detached.flatMap(({ node }) => unfit(node, 'detach')),
];

/** A policy and its purge have one table. */
const outOf = (policies: readonly Policy[], { reached }: Edges): string[] =>
  policies
    .filter((p, i) => policies.findIndex((q) => tableLabel(q.table) === tableLabel(p.table)) === i)
    .filter((p) => !reached.has(tableLabel(p.table)))
    .map((p) => p.name);

const NO_KEY: Problem = {
  problem: 'the data map names identifiers of a subject, and there is no key to hash them with',
  remedy: 'set LAPSE_RIGHTS_KEY (openssl rand -hex 32)',
};

/** The id as each column prints it. Throws RequestError where none can hold it. */
async function spelled(
  services: Needs,
  asked: Subject,
  all: readonly Naming[],
  nodes: Nodes,
): Promise<{ subject: Subject; spelling: Spelling }> {
  const columns = all.filter((n) => n.mention?.path === undefined);
  const answers = await spell(
    services,
    columns.map(({ label, columns: [column] }) => {
      const { schema, name } = nodes.get(label)!.table;
      return { parts: [asked.id], target: { policy: label, table: { schema, name }, columns: [column!] } };
    }),
  );
  const printed = new Map(answers.map((a) => [`${a.target.policy}\0${a.target.columns[0]}`, a]));
  if (answers.length > 0 && answers.every((a) => a.subject === null)) throw notAnId(asked.scope, answers);
  // One subject is one request however it is written: its own row says how, else columns that take it in one form only.
  const own = answers.filter((_, i) => isSubjectsKey(columns[i]!, nodes, asked.scope));
  const strict = answers.filter((a) => !isText(a));
  const id = [own, strict, answers].map(onePrinted).find((one) => one !== null) ?? asked.id;
  const subject = { ...asked, id };
  return {
    subject,
    spelling: (label, column) => {
      const answer = printed.get(`${label}\0${column}`);
      if (answer === undefined || !isText(answer)) return answer?.subject ? [answer.subject] : [];
      return [...new Set([...spellingsOf(id), ...(answer.subject === null ? [] : [answer.subject])])];
    },
  };
}

const isText = ({ columns: [column] }: Spelled): boolean => TEXT.test(column?.base ?? '');

const isSubjectsKey = ({ label, columns }: Naming, nodes: Nodes, scope: Subject['scope']): boolean =>
  subjectTables(nodes, scope).some((n) => n.label === label && n.table.key[0] === columns[0]);

/** Null: none of them can hold it, or they print it differently. */
function onePrinted(answers: readonly Spelled[]): string | null {
  const ids = new Set(answers.flatMap((a) => (a.subject === null ? [] : [a.subject])));
  return ids.size === 1 ? [...ids][0]! : null;
}

function notAnId(scope: Subject['scope'], answers: readonly Spelled[]): RequestError {
  const wants = new Set(
    answers.map(
      (a) => `${a.target.policy} has ${a.target.columns[0]} (${a.columns[0]?.type ?? 'no such column'})`,
    ),
  );
  return new RequestError(
    422,
    'not_an_id',
    `this cannot be the id of ${scope === 'user' ? 'a user' : 'an organization'}: ${[...wants].join('; ')}`,
    scope,
  );
}

interface Assembling {
  readonly nodes: Nodes;
  readonly catalog: Catalog;
  readonly edges: Edges;
  readonly subject: Subject;
  readonly maskKey: string | undefined;
  readonly asOf: string;
}

const tablesOf = ({ edges, subject }: Assembling, ordered: readonly string[]): ReachedTable[] =>
  ordered
    .flatMap((label) => edges.reached.get(label) ?? [])
    .map(({ node, seeds, through }) => {
      const { schema, name, columns } = node.table;
      return {
        label: node.label,
        table: { schema, name },
        key: keyOf(node),
        theirs: rowsOf(edges.reached, node.label, subject).theirs,
        path: [...seeds.map((s) => s.words), ...through.map((r) => `${r.columns.join(', ')} → ${r.to}`)],
        action: node.action,
        columns: node.line?.columns ?? [],
        retained: retainedIn(node),
        allColumns: columns.map((c) => c.name),
      };
    });

/** Every table after those that refer to it; where they refer to each other, in any order. */
function inOrder({ edges, catalog }: Assembling): string[] {
  const wanted = new Set([...edges.reached.keys(), ...edges.detached.map((d) => d.node.label)]);
  const done = new Set<string>();
  const order: string[] = [];
  const visit = (label: string): void => {
    if (done.has(label)) return;
    done.add(label);
    for (const r of catalog.references) if (r.to === label && wanted.has(r.from)) visit(r.from);
    order.push(label);
  };
  const isSubject = (label: string) => edges.reached.get(label)?.seeds.some((s) => s.columns.length === 0);
  // The row that has the identifiers goes last.
  for (const label of [...wanted].sort()) if (!isSubject(label)) visit(label);
  for (const label of wanted) visit(label);
  return order;
}

function stepsOf({ nodes, catalog, edges, subject, maskKey, asOf }: Assembling, label: string): Step[] {
  const { reached, detached } = edges;
  const circle = circleOf(reached, label);
  const step = (node: Node, change: Change, rows: Rows): Step => {
    const { policy, erasing } = policyOf(node, change, { nodes, catalog, maskKey });
    const whole = { kind: 'subject' as const, theirs: rows.theirs, held: rows.held };
    const leads = change.kind === 'mask' && circle.length > 0 ? leading(reached, label, asOf) : null;
    const leg = leads ? { ...whole, theirs: allOf(whole.theirs, sql`not ${leads}`) } : whole;
    return {
      name: nameOf(node, change),
      label,
      kind: change.kind,
      policy,
      erasing,
      leg,
      previewing: { ...erasing, dependants: leftBelow(erasing, reached) },
      seen:
        change.kind === 'delete'
          ? { ...leg, held: anyOf(leg.held, stuckRows(reached, catalog.references, label)) }
          : whole,
      after:
        change.kind === 'mask'
          ? referringTo(label, catalog, reached).filter((of) => !circle.includes(of))
          : [],
      waiting: leads && { ...whole, theirs: allOf(whole.theirs, leads) },
    };
  };
  const here = reached.get(label);
  const mine = detached.filter((d) => d.node.label === label);
  const others = [...new Set(mine.map((d) => d.columns.join('\0')))].map((same) => {
    const of = mine.filter((d) => d.columns.join('\0') === same);
    const rows = of.map((d) => detachedRows(d, reached, subject, asOf));
    const all = { theirs: anyOf(...rows.map((r) => r.theirs)), held: anyOf(...rows.map((r) => r.held)) };
    return step(of[0]!.node, { kind: 'detach', columns: of[0]!.columns }, all);
  });
  if (!here) return others;
  const { theirs, held } = rowsOf(reached, label, subject);
  const own = here.goesAlong && here.node.action !== 'mask' ? [] : ownChanges(here.node, asOf);
  return [
    ...others,
    ...own.map(({ change, rows }) => step(here.node, change, { theirs: allOf(theirs, rows), held })),
  ];
}

/** What goes or changes with the rows of a step once all that is reached by itself has gone, or loses its reference, in steps before. */
function leftBelow(policy: Policy, reached: Edges['reached']): Policy['dependants'] {
  const goneBefore = (label: string) => reached.get(label)?.node.action === 'delete';
  const dropped = new Set<string>();
  let left = policy.dependants.filter((d) => d.fate !== 'block');
  for (let size = -1; size < dropped.size; ) {
    size = dropped.size;
    for (const d of left)
      if (d.fate === 'delete' && goneBefore(tableLabel(d.table))) dropped.add(tableLabel(d.table));
    left = left.filter(
      (d) => !dropped.has(tableLabel(d.table)) && !(d.via && dropped.has(tableLabel(d.via))),
    );
  }
  return left;
}

const leading = (reached: Edges['reached'], label: string, asOf: string): Sql =>
  leadingRows(reached, label, (of) => {
    const { node, goesAlong } = reached.get(of)!;
    const changes = goesAlong && node.action !== 'mask' ? [] : ownChanges(node, asOf);
    const pending = changes.map(({ change, rows }) => allOf(rows, isPending(node, change)));
    return pending.length > 0 ? anyOf(...pending) : null;
  });

/** Tables with reached rows that refer to these. */
const referringTo = (label: string, { references }: Catalog, reached: Edges['reached']): string[] => [
  ...new Set(
    references
      .filter((r) => r.to === label && r.from !== label && reached.get(r.from)?.through.includes(r))
      .map((r) => r.from),
  ),
];

function detachedRows(
  { node, by }: Detached,
  reached: Edges['reached'],
  subject: Subject,
  asOf: string,
): Rows {
  return 'to' in by
    ? referringRows(reached, { node, by }, subject, asOf)
    : namingRows(reached, { node, by }, subject, asOf);
}

/** What stays unchanged of a reached row, on its ground. */
function retainedIn({ line, action }: Node): Retained[] {
  if (!line) return [];
  const found = new Map<string, Retained>();
  for (const { column, handling } of line.columns) {
    if (handling.kind !== 'retain') continue;
    const { ground, until } = handling;
    const end = endInWords(until);
    const same = found.get(`${ground}\0${end}`);
    found.set(`${ground}\0${end}`, { columns: [...(same?.columns ?? []), column], ground, until: end });
  }
  if (found.size > 0 || action === 'delete') return [...found.values()];
  return [{ columns: [], ground: line.decision.words ?? line.decision.kind, until: 'as its table says' }];
}

function endInWords(until: Extract<MappedColumn['handling'], { kind: 'retain' }>['until']): string {
  if (until === 'policy') return 'its row goes by the policy of its table';
  if (until === 'removal') return 'an operator removes it';
  return 'days' in until
    ? `${until.days} days after ${until.after}`
    : `${until.years} years after ${until.after}`;
}
