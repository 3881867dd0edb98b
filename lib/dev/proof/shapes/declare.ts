/** The policy of a shape as a developer would write it who knows the tables, and the mistakes such a developer makes. */
import type { PolicyInput } from '../../../policies/contract';
import { type ContentDraft, declaredContents, mayEnd } from './contents';
import type { Sparing } from './groups';
import { type LaterDraft, laterClock } from './later';
import { filesOf, keyOf, scopeOf } from './named';
import type { Rolls } from './rolls';
import { type Clock, type Link, literal, quoted, type ShapeTable, tableOf } from './shape';
import type { Draft } from './tables';

export type Child = NonNullable<PolicyInput['dependants']>[number];
export const POLICY = 'shapes';

/** A fragment holds no comment, and no end of a statement, also not in a name. */
const MAY_STAND = /^(?!.*(;|--|\$\d))/;

/** A trigger that takes other rows along is never one to be named. */
const knownOf = (t: ShapeTable): string[] =>
  t.trigger && t.trigger.kind !== 'deletes' ? [t.trigger.name] : [];

export interface Declaring {
  readonly tables: readonly ShapeTable[];
  readonly links: readonly Link[];
  readonly governed: Draft;
  readonly keepSeconds: number;
  readonly tenants: PolicyInput['tenants'];
  readonly strategy: PolicyInput['strategy'];
  readonly sparing: Sparing;
  readonly later: readonly LaterDraft[];
  readonly contents: readonly ContentDraft[];
}

function clockOf({ second, in: other, ...clock }: Clock): PolicyInput['clock'] {
  if (other) return { ...clock, in: { ...other, references: [...other.references], key: [...other.key] } };
  return second ? { ...clock, [second.counts]: [second.column] } : clock;
}

export function declare(rolls: Rolls, d: Declaring): PolicyInput {
  const [governed] = d.tables;
  const t = governed!;
  const { clock } = t;
  const keepFor = { seconds: d.keepSeconds };
  const { kind, flag } = d.governed;
  // A partition that is dropped whole can spare none of its rows.
  const isWhole = t.partitions?.isByClock ?? false;
  const { dependants, contents } = below(rolls, d);
  const matched = kind !== null && !isWhole && d.tenants === undefined && rolls.chance(60);
  const rules = d.tenants
    ? [
        { label: 'free', keepFor },
        { label: 'pro', keepFor: { seconds: d.keepSeconds * 3 } },
      ]
    : matched
      ? [
          { label: 'short', keepFor, match: { [kind]: 'a' } },
          {
            label: 'long',
            keepFor: { seconds: rolls.chance(30) ? null : d.keepSeconds * 2 },
            match: { [kind]: 'b' },
          },
        ]
      : [{ label: 'all', keepFor }];
  return {
    name: POLICY,
    description: 'rows of a random schema',
    justification: 'because a proof wants it so',
    ground: 'proof',
    schedule: { run: '0 2 * * *' },
    table: { schema: t.schema, name: t.name },
    key: keyOf(t, rolls.chance(65)),
    clock: { ...clockOf(clock!), ...laterClock(d.later, d.tables) },
    rules,
    ...(d.strategy ? { strategy: d.strategy } : {}),
    ...d.sparing,
    ...(flag && !isWhole && MAY_STAND.test(flag) && rolls.chance(70)
      ? { where: `t.${quoted(flag)} is not true` }
      : {}),
    ...(d.tenants ? { tenants: d.tenants } : {}),
    ...(t.partitions ? { partitioned: { by: isWhole ? ('month' as const) : ('other' as const) } } : {}),
    scope: scopeOf(t),
    files: filesOf(t),
    knownTriggers: knownOf(t),
    dependants,
    ...(contents.length > 0 ? { contents } : {}),
  };
}

/** Every reference to a table that rows leave, level by level; and what these rows refer to. */
function below(
  rolls: Rolls,
  { tables, links, strategy, contents }: Declaring,
): { dependants: Child[]; contents: NonNullable<PolicyInput['contents']> } {
  const children: Child[] = [];
  const going = new Set([0]);
  const keys = tables.map((t) => keyOf(t, rolls.chance(65)));
  const seen = new Set<Link>();
  for (let more = true; more; ) {
    more = false;
    for (const l of links.filter((x) => going.has(x.to) && !seen.has(x))) {
      seen.add(l);
      const fate = fateOf(rolls, l, tables, strategy !== undefined && strategy.kind !== 'archive');
      if (fate === null) continue;
      children.push(childOf(rolls, l, fate, tables, keys));
      if (fate !== 'delete') continue;
      going.add(l.from);
      more = true;
    }
  }
  // What no reference of the rows ends is none of the policy's.
  const declared = declaredContents(tables, contents, going);
  return {
    dependants: children,
    contents: declared.filter((c) => mayEnd(strategy, c)),
  };
}

function childOf(
  rolls: Rolls,
  l: Link,
  fate: Child['fate'],
  tables: readonly ShapeTable[],
  keys: readonly PolicyInput['key'][],
): Child {
  const [t, parent] = [tables[l.from]!, tables[l.to]!];
  const isKey = [...l.targets].sort().join() === [...parent.key].sort().join();
  const references = isKey ? parent.key.map((k) => l.columns[l.targets.indexOf(k)]!) : [...l.columns];
  const clears = fate === 'set-null' ? clearsOf(rolls, references) : undefined;
  // Of the governed table they are the policy's own.
  const isGoverned = l.from === 0;
  return {
    table: { schema: t.schema, name: t.name },
    ...(l.to === 0 ? {} : { via: { schema: parent.schema, name: parent.name } }),
    key: keys[l.from]!,
    references,
    ...(isKey ? {} : { refersTo: [...l.targets] }),
    ...(l.soft && fate === 'delete' && rolls.chance(50) ? { foreignKey: false as const } : {}),
    fate,
    ...(clears ? { clears } : {}),
    ...(isGoverned ? {} : { scope: scopeOf(t), files: filesOf(t), knownTriggers: knownOf(t) }),
  };
}

function fateOf(rolls: Rolls, l: Link, tables: readonly ShapeTable[], stays: boolean): Child['fate'] | null {
  // Nobody has to name what no foreign key names.
  if (l.soft) return rolls.of(['delete', 'block', null] as const);
  const [governed, from] = [tables[0]!, tables[l.from]!];
  const isNullable = l.columns.every((c) => !from.columns.find((x) => x.name === c)!.notNull);
  // A partition is dropped whole, without a look at who refers to its rows.
  const mayClear = isNullable && !governed.partitions?.isByClock;
  // Rows of a partitioned table cannot go with one another, nor rows with one that stays.
  const mayGo = l.from !== 0 || (governed.partitions === null && !stays);
  const goes = mayGo ? ('delete' as const) : ('block' as const);
  if (l.action === 'cascade') return goes;
  if (l.action === 'set null' || l.action === 'set default') {
    if (l.from === l.to) return mayClear ? 'set-null' : goes;
    return mayClear && rolls.chance(30) ? 'set-null' : 'keep';
  }
  return rolls.of(
    mayClear ? [goes, goes, 'block' as const, 'set-null' as const] : [goes, goes, 'block' as const],
  );
}

/** Of several columns one is enough. */
const clearsOf = (rolls: Rolls, references: readonly string[]): string[] | undefined =>
  references.length > 1 && rolls.chance(40) ? [rolls.of(references)] : undefined;

type Mistake = (rolls: Rolls, input: PolicyInput, links: readonly Link[]) => PolicyInput | null;

const changeChild = (
  rolls: Rolls,
  input: PolicyInput,
  change: (c: Child) => Child | null,
): PolicyInput | null => {
  const all = input.dependants ?? [];
  if (all.length === 0) return null;
  const at = rolls.upTo(all.length);
  const changed = change(all[at]!);
  if (changed === all[at]) return null;
  return withoutLoose({
    ...input,
    dependants: all.flatMap((c, i) => (i === at ? (changed ? [changed] : []) : [c])),
  });
};

/** Whoever forgets a branch forgets what hangs on it. */
function withoutLoose(input: PolicyInput): PolicyInput {
  const all = input.dependants ?? [];
  const name = (t: { schema?: string | undefined; name: string }) => `${t.schema ?? 'public'}.${t.name}`;
  const going = new Set([name(input.table)]);
  for (let size = 0; size < going.size; ) {
    size = going.size;
    for (const c of all)
      if (c.fate === 'delete' && going.has(name(c.via ?? input.table))) going.add(name(c.table));
  }
  const left = all.filter((c) => going.has(name(c.via ?? input.table)));
  const goes = (t: { schema?: string | undefined; name: string }) =>
    name(t) !== name(input.table) && going.has(name(t));
  const contents = (input.contents ?? []).map((c) => {
    const { referredBy = [], ...rest } = c;
    const still = referredBy.filter((r) => goes(r.table));
    const stays = referredBy.filter((r) => !goes(r.table));
    return {
      ...rest,
      ...(still.length > 0 ? { referredBy: still } : {}),
      sharedWith: [...(c.sharedWith ?? []), ...stays],
    };
  });
  return {
    ...input,
    dependants: left,
    ...(input.contents ? { contents: contents.filter((c) => mayEnd(input.strategy, c)) } : {}),
  };
}

export const MISTAKES: Readonly<Record<string, Mistake>> = {
  'forgotten branch': (r, p) => changeChild(r, p, () => null),
  'wrong fate': (r, p) =>
    changeChild(r, p, (c) => {
      const { clears: _, ...rest } = c;
      const fates =
        p.partitioned && p.partitioned.by !== 'other'
          ? (['delete', 'keep', 'block'] as const)
          : (['delete', 'keep', 'block', 'set-null'] as const);
      // Rows of a partitioned table cannot go with one another, nor can those that stay, changed.
      const stays = p.strategy?.kind === 'mask' || p.strategy?.kind === 'soft-delete';
      const isOwn = c.table.name === p.table.name && (p.partitioned || stays);
      if (isOwn) return c;
      return { ...rest, fate: r.of(fates.filter((f) => f !== c.fate)) };
    }),
  // Where no foreign key says otherwise, nobody could tell.
  'wrong order': (r, p, links) =>
    changeChild(r, p, (c) =>
      c.references.length > 1 &&
      links.some((l) => !l.soft && [...l.columns].sort().join() === [...c.references].sort().join())
        ? { ...c, references: [...c.references].reverse() }
        : c,
    ),
  'wrong type of a key': (r, p) => {
    const first = p.key[0]!;
    const type = first.type === 'integer' ? 'bigint' : 'integer';
    if (r.chance(50)) return { ...p, key: [{ ...first, type }, ...p.key.slice(1)] };
    return changeChild(r, p, (c) => {
      const [own, ...rest] = c.key;
      return { ...c, key: [{ ...own!, type: own!.type === 'integer' ? 'bigint' : 'integer' }, ...rest] };
    });
  },
  'wrong type of the clock': (_, p) => {
    const { column, otherwise, orLater, orLaterIn, in: other } = p.clock;
    const same = {
      column,
      ...(otherwise ? { otherwise } : {}),
      ...(orLater ? { orLater } : {}),
      ...(orLaterIn ? { orLaterIn } : {}),
      ...(other ? { in: other } : {}),
      ...(p.clock.ahead ? { ahead: true as const } : {}),
    };
    // What is thinned out says more about its clock.
    if (p.thin || (p.partitioned && p.partitioned.by !== 'other')) return null;
    return {
      ...p,
      clock: {
        ...same,
        ...(p.clock.type === 'timestamptz' ? { type: 'timestamp', zone: 'UTC' } : { type: 'timestamptz' }),
      },
    };
  },
  'partitions not named': (_, p) => {
    const { partitioned, ...rest } = p;
    return partitioned ? rest : null;
  },
  'trigger not named': (_, p) => ((p.knownTriggers ?? []).length > 0 ? { ...p, knownTriggers: [] } : null),
};

/** What the developer forgot to do in the database. */
export const OMISSIONS = ['index', 'grant', 'guard', 'index of files'] as const;

/** The index by which a policy finds its rows, for each of its rules. */
export function clockIndexes(t: ShapeTable, input: PolicyInput): string[] {
  const { column, second, in: other } = t.clock!;
  // Such rows are found by their own key.
  if (other) return [];
  const counts = { otherwise: 'coalesce', orLater: 'greatest' };
  const clock = second
    ? `(${counts[second.counts]}(${quoted(column)}, ${quoted(second.column)}))`
    : quoted(column);
  const then = [clock, ...t.key.filter((k) => k !== column).map(quoted)];
  const matched = input.rules.flatMap((r) => Object.keys(r.match ?? {}));
  const first = input.tenants ? [input.tenants.column] : [...new Set(matched)];
  return [`create index on ${tableOf(t)} (${[...first.map(quoted), ...then].join(', ')})`];
}

/** Organizations with a plan each: of those the tiers are. */
const TENANTS = { schema: 'public', name: 'organizations_of_the_proof' };
export const tenantsSql = (organizations: readonly string[]): string[] => [
  `create table ${tableOf(TENANTS)} (id uuid primary key, plan text)`,
  `insert into ${tableOf(TENANTS)} values ${organizations.map((o, i) => `(${literal(o)}, ${literal(['free', 'pro', 'other', 'free'][i % 4]!)})`).join(', ')}`,
  `grant select on ${tableOf(TENANTS)} to lapse_app`,
  `create trigger lapse_gate before insert or update or delete on ${tableOf(TENANTS)} for each statement execute function retention.gate()`,
];

export const tenantsOf = (column: string): NonNullable<PolicyInput['tenants']> => ({
  table: TENANTS,
  key: { column: 'id', type: 'uuid' },
  column,
  label: 'o.plan',
});
