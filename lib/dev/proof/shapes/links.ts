/** What refers to what: children at any depth, more than one way to a row, a table's own rows, circles, and back. */
import type { Rolls } from './rolls';
import type { Action, Link } from './shape';
import type { Draft } from './tables';

const ACTIONS: readonly Action[] = [
  'cascade',
  'cascade',
  'cascade',
  'cascade',
  'no action',
  'no action',
  'restrict',
  'set null',
  'set null',
  'set default',
];

export interface LinkDraft extends Link {
  /** Given once every table has its rows: by then both ends are there. */
  readonly late: boolean;
}

export function linksOf(rolls: Rolls, drafts: readonly Draft[]): LinkDraft[] {
  const links: LinkDraft[] = [];
  const add = (from: number, to: number, options: { late?: boolean; actions?: readonly Action[] } = {}) =>
    links.push(linkOf(rolls, drafts, links.length, from, to, options));
  for (let i = 1; i < drafts.length; i += 1) {
    if (rolls.chance(5)) continue;
    const first = rolls.chance(65) ? 0 : rolls.upTo(i);
    add(i, first);
    // A second way to the same row, or to another.
    const second = rolls.chance(20) ? rolls.upTo(i) : null;
    if (second !== null) add(i, second);
  }
  if (rolls.chance(18)) {
    const own = rolls.upTo(drafts.length);
    add(own, own);
  }
  if (drafts.length > 1 && rolls.chance(8)) {
    const to = 1 + rolls.upTo(drafts.length - 1);
    add(rolls.upTo(to), to, { late: true, actions: ['no action', 'set null'] });
  }
  return links;
}

function linkOf(
  rolls: Rolls,
  drafts: readonly Draft[],
  n: number,
  from: number,
  to: number,
  { late = false, actions = ACTIONS }: { late?: boolean; actions?: readonly Action[] },
): LinkDraft {
  const [child, parent] = [drafts[from]!, drafts[to]!];
  const action = rolls.of(actions);
  const unique = parent.uniques.length > 0 && rolls.chance(30) ? parent.uniques[0]! : parent.key;
  const targets = rolls.shuffled(unique);
  const gives = action === 'set null' || action === 'set default';
  // Some children are named by the row they belong to.
  const identifies =
    !late &&
    !gives &&
    from !== to &&
    child.rows.length === 0 &&
    rolls.chance(12) &&
    child.uniques.length === 0;
  const isOptional = !identifies && (late || gives || from === to || rolls.chance(50));
  const columns = targets.map((target) => {
    const name = child.names.next(`${parent.name.slice(0, 30)}_${target}`.slice(0, 50));
    return child.add(name, { sql: parent.typeOf(target), value: () => '' }, !isOptional, false);
  });
  if (identifies) child.key = rolls.shuffled([...new Set([...columns, ...child.key])]);
  return {
    name: child.names.next(`${child.name.slice(0, 20)}_fk${n}`),
    from,
    to,
    columns,
    targets,
    action,
    deferrable: action !== 'restrict' && rolls.chance(12),
    soft: !late && from !== to && rolls.chance(4),
    indexed: !rolls.chance(2),
    late,
  };
}
