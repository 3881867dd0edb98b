/** One random shape: the same seed and number, the same shape. */

import { contentsIn, withoutReferences } from './contents';
import { declare, MISTAKES, OMISSIONS, POLICY, tenantsOf, tenantsSql } from './declare';
import { clockElsewhere, elsewhereSql } from './elsewhere';
import { sparingOf } from './groups';
import { laterOf, laterSql } from './later';
import { linksOf } from './links';
import { loosenKeys } from './loose-keys';
import { overridesOf } from './overrides';
import { indexesOf } from './partial';
import { addPartitions } from './partitions';
import { Rolls } from './rolls';
import { fill } from './rows';
import { quoted, type Shape, type ShapeTable, tableOf } from './shape';
import { archiveOf, strategyOf } from './strategies';
import { surroundingsOf } from './surroundings';
import { addClock, addFile, addKey, addOwners, Draft } from './tables';
import { DAY } from './times';
import { addTriggers, triggerSql } from './triggers';
import { Names, type ValueType } from './values';

const ENUM = 'kind_of_key';
const enumType: ValueType = { sql: `${ENUM}`, value: (n) => ['low', 'mid', 'top'][n % 3]! };

export function generate(seed: number, number: number): Shape {
  const rolls = new Rolls(seed, number);
  const owners = {
    organizations: [1, 2, 3, 4].map((n) => `00000000-0000-4000-8000-00000000000${n}`),
    people: [1, 2, 3].map((n) => `00000000-0000-4000-9000-00000000000${n}`),
  };
  const oddPercent = rolls.of([0, 0, 10, 60]);
  const schemas = schemasOf(rolls);
  const names = new Names(rolls, oddPercent);
  const count = rolls.of([1, 2, 2, 3, 3, 4, 5, 6]);
  const drafts = Array.from(
    { length: count },
    (_, i) => new Draft(rolls.of(schemas), names.next(i === 0 ? 'things' : `child_${i}`), rolls, oddPercent),
  );
  for (const [i, draft] of drafts.entries()) {
    addKey(draft, rolls, enumType);
    addOwners(draft, rolls, i === 0 ? 55 : 25);
    addFile(draft, rolls, i === 0 ? 25 : 20);
    if (i === 0) addClock(draft, rolls);
  }
  const periods = [30 * DAY, 7 * DAY, 365 * DAY, 3600];
  const keepSeconds = rolls.of(drafts[0]!.clock?.ahead ? [0, 0, 30 * DAY] : periods);
  const never = rolls.chance(3) ? rolls.of(['view', 'inheritance', 'row security'] as const) : null;
  if (never === null) addPartitions(rolls, drafts, schemas);
  const staying = strategyOf(rolls, drafts[0]!);
  loosenKeys([seed, number], drafts);
  const sparing = sparingOf(rolls, drafts[0]!, keepSeconds);
  const tree = linksOf(rolls, drafts);
  const isSparing = Object.keys(sparing).length > 0;
  const hung = [...drafts];
  const dated = isSparing ? null : clockElsewhere(rolls, drafts, enumType, keepSeconds);
  const archived = staying ? undefined : archiveOf(rolls, drafts[0]!);
  const contents = archived ? [] : contentsIn(rolls, drafts, enumType);
  const strategy = archived ?? withoutReferences(rolls, staying, contents);
  const links = [...tree, ...(dated ? [dated] : []), ...contents.flatMap((c) => c.links)];
  const later = isSparing || dated ? [] : laterOf([seed, number], drafts, tree, keepSeconds);
  fill(rolls, drafts, links, owners, keepSeconds);
  if (never === null) addTriggers(rolls, hung);
  const mistakes = omit(rolls, drafts);
  const tables: readonly ShapeTable[] = drafts;
  const governed = drafts[0]!;
  const tenants =
    governed.organization && !governed.partitions?.isByClock && !governed.clock?.in && rolls.chance(26)
      ? tenantsOf(governed.organization)
      : undefined;
  const declared = declare(rolls, {
    ...{ tables, links, governed, keepSeconds, tenants, strategy, sparing, later, contents },
  });
  const { policy: right, indexes } = indexesOf([seed, number], governed, declared);
  const wrong = mistaken(rolls, right, links);
  const after = [
    ...(mistakes.includes('index') ? [] : indexes),
    ...elsewhereSql(drafts[0]!),
    ...laterSql(later, tables, number),
    ...(tenants ? tenantsSql(owners.organizations) : []),
    ...(tenants ? overridesOf(rolls, POLICY, owners.organizations) : []),
    ...tables.flatMap((t) => (t.trigger ? triggerSql(t, t.trigger) : [])),
    ...surroundingsOf(rolls, { tables, ...owners, policy: POLICY }),
    ...(never ? impossible(governed, never) : []),
  ];
  return {
    seed,
    number,
    before: [
      `create type public.${ENUM} as enum ('low', 'mid', 'top')`,
      ...schemas
        .filter((s) => s !== 'public')
        .flatMap((s) => [`create schema ${quoted(s)}`, `grant usage on schema ${quoted(s)} to lapse_app`]),
    ],
    tables,
    links,
    after,
    policy: never === 'view' ? { ...wrong.policy, table: VIEW } : wrong.policy,
    never,
    mistakes: [...mistakes, ...wrong.mistakes],
    batchSize: rolls.of([null, null, 1, 2, 3, 7]),
    disturbed: never === null && rolls.chance(15),
  };
}

const schemasOf = (rolls: Rolls): string[] =>
  rolls.of([['public'], ['public'], ['app'], ['public', 'app'], ['public', 'Odd "Schema"', 'app.dotted']]);

function omit(rolls: Rolls, drafts: readonly Draft[]): string[] {
  if (!rolls.chance(20)) return [];
  const what = rolls.of(OMISSIONS);
  const draft = rolls.of(drafts);
  if (what === 'grant') draft.granted = false;
  if (what === 'guard') draft.guarded = false;
  if (what === 'index of files') draft.fileIndexed = false;
  return [what];
}

function mistaken(
  rolls: Rolls,
  right: Shape['policy'],
  links: Shape['links'],
): Pick<Shape, 'policy' | 'mistakes'> {
  if (!rolls.chance(22)) return { policy: right, mistakes: [] };
  const [name, make] = rolls.of(Object.entries(MISTAKES));
  const policy = make(rolls, right, links);
  return policy === null ? { policy: right, mistakes: [] } : { policy, mistakes: [name] };
}

const VIEW = { schema: 'public', name: 'a_view_of_it' };

/** What no policy can govern, whatever is done. */
function impossible(t: ShapeTable, never: NonNullable<Shape['never']>): string[] {
  switch (never) {
    case 'view':
      return [
        `create view ${tableOf(VIEW)} as select * from ${tableOf(t)}`,
        `grant select, update, delete on ${tableOf(VIEW)} to lapse_app`,
      ];
    case 'inheritance':
      return [`create table public.an_heir () inherits (${tableOf(t)})`];
    case 'row security':
      return [
        `alter table ${tableOf(t)} enable row level security`,
        `create policy a_part on ${tableOf(t)} using (${quoted(t.columns[0]!.name)} % 2 = 0)`,
      ];
  }
}
