/** Rows that others refer to and that go with the last of these: of the governed table, and of tables beside it. */
import type { PolicyInput } from '../../../policies/contract';
import type { LinkDraft } from './links';
import { filesOf, keyOf, scopeOf } from './named';
import type { Rolls } from './rolls';
import type { Action, Link, ShapeTable } from './shape';
import { addFile, addKey, addOwners, Draft, nameBeside } from './tables';
import type { ValueType } from './values';

type Content = NonNullable<PolicyInput['contents']>[number];

/** A table whose rows go with their last reference, by its place among all, and what refers to it. */
export interface ContentDraft {
  readonly table: number;
  readonly links: readonly LinkDraft[];
}

const ACTIONS: readonly Action[] = ['no action', 'no action', 'restrict', 'set null', 'cascade'];

/** Adds them behind all other tables: they are referred to once every table has its rows. */
export function contentsIn(rolls: Rolls, drafts: Draft[], enumType: ValueType): ContentDraft[] {
  const governed = drafts[0]!;
  if (governed.partitions || governed.clock?.in || !rolls.chance(16)) return [];
  const others = drafts.length;
  return Array.from({ length: rolls.chance(20) ? 2 : 1 }, (_, i) => {
    const draft = new Draft(governed.schema, nameBeside(drafts, governed.names, `bodies_${i}`), rolls, 0);
    addKey(draft, rolls, enumType);
    addOwners(draft, rolls, 25);
    addFile(draft, rolls, 50);
    drafts.push(draft);
    const table = drafts.length - 1;
    // Only of what hangs on the rows, e.g. the address of each line of an order; or of the rows themselves, too.
    const isBelow = others > 1 && rolls.chance(25);
    const links = isBelow ? [] : [referring(rolls, drafts, 0, table)];
    if (!isBelow && rolls.chance(30)) links.push(referring(rolls, drafts, 0, table));
    if (isBelow || (others > 1 && rolls.chance(50)))
      links.push(referring(rolls, drafts, 1 + rolls.upTo(others - 1), table));
    if (others > 1 && rolls.chance(20)) links.push(referring(rolls, drafts, rolls.upTo(others), table));
    return { table, links };
  });
}

function referring(rolls: Rolls, drafts: readonly Draft[], from: number, to: number): LinkDraft {
  const [child, content] = [drafts[from]!, drafts[to]!];
  const columns = content.key.map((target) => {
    const type: ValueType = { sql: content.typeOf(target), value: () => '' };
    return child.add(child.names.next(`${content.name}_${target}`.slice(0, 40)), type, false, false);
  });
  return {
    name: child.names.next(`${child.name.slice(0, 20)}_content`),
    from,
    to,
    columns,
    targets: content.key,
    action: rolls.of(ACTIONS),
    deferrable: rolls.chance(10),
    soft: false,
    indexed: !rolls.chance(3),
    late: true,
  };
}

/** Some masks take the reference away, and with it what nobody else refers to. */
export function withoutReferences(
  rolls: Rolls,
  strategy: PolicyInput['strategy'],
  contents: readonly ContentDraft[],
): PolicyInput['strategy'] {
  if (strategy?.kind !== 'mask' || !rolls.chance(70)) return strategy;
  const own = contents.flatMap((c) => c.links).filter((l) => l.from === 0);
  return {
    ...strategy,
    columns: [...strategy.columns, ...own.map((l) => ({ column: l.columns[0]!, to: null }))],
  };
}

/** Whether any of what refers to it ends with a run; what is marked is purged another day. */
export function mayEnd(strategy: PolicyInput['strategy'], content: Content): boolean {
  const below = (content.referredBy ?? []).length > 0;
  if (strategy?.kind !== 'mask') return (content.references ?? []).length > 0 || below;
  const empty = strategy.columns.filter((c) => c.to === null).map((c) => c.column);
  return (
    (below && strategy.dependants === 'go') ||
    (content.references ?? []).some((columns) => columns.some((c) => empty.includes(c)))
  );
}

/** As a developer declares them who knows which rows go: those of tables `going`, and no others. */
export function declaredContents(
  tables: readonly ShapeTable[],
  contents: readonly ContentDraft[],
  going: ReadonlySet<number>,
): Content[] {
  return contents.map(({ table, links }) => {
    const t = tables[table]!;
    const others = links.filter((l) => l.from !== 0);
    const of = (some: readonly Link[]) =>
      some.map((l) => {
        const { schema, name } = tables[l.from]!;
        return { table: { schema, name }, columns: [...l.columns] };
      });
    const gone = others.filter((l) => going.has(l.from));
    return {
      table: { schema: t.schema, name: t.name },
      key: keyOf(t),
      references: links.filter((l) => l.from === 0).map((l) => [...l.columns]),
      fate: 'with-last-reference',
      ...(gone.length > 0 ? { referredBy: of(gone) } : {}),
      sharedWith: of(others.filter((l) => !going.has(l.from))),
      scope: scopeOf(t),
      files: filesOf(t),
    };
  });
}
