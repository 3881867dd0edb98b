/**
 * Small random schemas with rows, a policy for each, and what plain SQL says that policy may delete. Every foreign key is
 * indexed and every right is given, so that what is refused is refused for its shape.
 */
import { definePolicy, type Policy, type PolicyInput } from '@/lib/policies/contract';
import type { TestDatabase } from './database';
import { ago, DAY, thingsPolicy } from './engine';

type Action = 'no action' | 'restrict' | 'cascade' | 'set null' | 'set default';
const ACTIONS: readonly Action[] = [
  'no action',
  'restrict',
  'cascade',
  'cascade',
  'cascade',
  'set null',
  'set default',
];
type Child = NonNullable<PolicyInput['dependants']>[number];

interface Link {
  readonly from: number;
  readonly columns: readonly string[];
  readonly to: number;
  readonly targets: readonly string[];
  readonly action: Action;
}

export interface Random {
  readonly schema: string;
  readonly policy: Policy;
  /** Of each table, in the order of their numbers, the governed one first. */
  readonly keys: readonly (readonly string[])[];
  /** Whether rows may hold each other back, so that which of them go together depends on the batch. */
  readonly holdBack: boolean;
}

/** A small generator of numbers: the same seed, the same schema. */
function rolls(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

export async function randomSchema(db: TestDatabase, seed: number): Promise<Random> {
  const roll = rolls(Math.imul(seed + 1, 2654435761));
  const chance = (percent: number) => roll(100) < percent;
  const schema = `g${seed}`;
  const count = 1 + roll(4);
  const composite = chance(35);
  const primary = composite ? ['tenant', 'id'] : ['id'];
  const links = linksOf(roll, count, composite);
  await db.sql(`create schema ${schema}`);
  for (let i = 0; i < count; i += 1)
    await db.sql(
      tableOf(
        schema,
        i,
        composite,
        links.filter((l) => l.from === i),
      ),
    );
  for (const [n, l] of links.entries()) {
    await db.sql(`alter table ${schema}.t${l.from} add constraint fk${n} foreign key (${l.columns.join(', ')})
      references ${schema}.t${l.to} (${l.targets.join(', ')}) on delete ${l.action}`);
  }
  const key = chance(85) ? primary : ['alt'];
  await db.sql(`create index on ${schema}.t0 (at, ${key.join(', ')}); grant usage on schema ${schema} to lapse_app;
    grant select, update, delete on all tables in schema ${schema} to lapse_app`);
  await fill(db, roll, schema, count, links);
  const triggers = await triggersOf(db, roll, schema, count);
  const dependants = dependantsOf(roll, schema, links, key, triggers);
  const { scope: _, ...base } = thingsPolicy();
  const policy = definePolicy({
    ...base,
    name: `random-${seed}`,
    table: { schema, name: 't0' },
    key: key.map((column) => ({ column, type: 'integer' })),
    knownTriggers: triggers[0] ?? [],
    dependants,
  });
  const holdBack = links.some((l) => l.action === 'no action' || l.action === 'restrict');
  return { schema, policy, keys: [key, ...Array.from({ length: count - 1 }, () => ['id'])], holdBack };
}

function linksOf(roll: (n: number) => number, count: number, composite: boolean): Link[] {
  const links: Link[] = [];
  const add = (from: number, to: number) => {
    const n = links.length;
    const action = ACTIONS[roll(ACTIONS.length)]!;
    const targets = to > 0 ? ['id'] : roll(100) < 20 ? ['alt'] : composite ? ['tenant', 'id'] : ['id'];
    // The constraint may list the pairs in either order.
    const turned = targets.length > 1 && roll(2) === 1 ? [...targets].reverse() : targets;
    links.push({ from, to, targets: turned, columns: turned.map((t) => `r${n}_${t}`), action });
  };
  for (let i = 1; i < count; i += 1) add(i, roll(100) < 75 ? 0 : roll(i));
  if (count > 2 && roll(100) < 30) add(1 + roll(count - 1), 0);
  if (roll(100) < 25) {
    const own = roll(count);
    add(own, own);
  }
  return links;
}

function tableOf(schema: string, i: number, composite: boolean, links: readonly Link[]): string {
  const references = links.flatMap((l) => l.columns.map((c) => `${c} int`));
  const columns =
    i > 0
      ? ['id int primary key']
      : ['tenant int not null', 'id int not null', 'alt int unique not null', 'at timestamptz'];
  const primary = i > 0 ? [] : [composite ? 'primary key (tenant, id)' : 'primary key (id)'];
  const indexes = links.map((l) => `; create index on ${schema}.t${i} (${l.columns.join(', ')})`).join('');
  return `create table ${schema}.t${i} (${[...columns, ...references, ...primary].join(', ')})${indexes}`;
}

/** A row refers to rows before its own only, so that none hold each other in a circle. One request a table. */
async function fill(
  db: TestDatabase,
  roll: (n: number) => number,
  schema: string,
  count: number,
  links: readonly Link[],
): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    const own = links.filter((l) => l.from === i);
    const columns = [...(i === 0 ? ['tenant', 'id', 'alt', 'at'] : ['id']), ...own.flatMap((l) => l.columns)];
    const statements = Array.from({ length: i === 0 ? 8 : 12 }, (_, n) => {
      const id = n + 1;
      // `alt` runs the other way, so that a value of one is a value of the other, of another row.
      const values =
        i === 0 ? [1 + (id % 2), id, 9 - id, `'${ago((roll(2) === 0 ? 99 : 1) * DAY)}'::timestamptz`] : [id];
      const chosen = own.map((l, x) => {
        const among = [l.to === i ? `id < ${id}` : 'true', roll(100) < 15 ? 'false' : 'true'].join(' and ');
        return `left join lateral (select * from ${schema}.t${l.to} where ${among} order by md5(id::text || '${roll(1000)}') limit 1) x${x} on true`;
      });
      const targets = own.flatMap((l, x) => l.targets.map((t) => `x${x}.${t}`));
      return `insert into ${schema}.t${i} (${columns.join(', ')}) select ${[...values, ...targets].join(', ')} from (select 1) o ${chosen.join(' ')}`;
    });
    await db.sql(statements.join(';'));
  }
}

/** Of each table the triggers that its declaration names: one that deletes other rows is never named. */
async function triggersOf(
  db: TestDatabase,
  roll: (n: number) => number,
  schema: string,
  count: number,
): Promise<string[][]> {
  const named: string[][] = Array.from({ length: count }, () => []);
  if (roll(100) >= 25) return named;
  const on = roll(count);
  const kind = roll(3);
  const body = [
    'return old',
    'if old.id % 4 = 0 then return null; end if; return old',
    `delete from ${schema}.t${roll(count)} where id = old.id + 1; return old`,
  ][kind];
  await db.sql(`create function ${schema}.f() returns trigger language plpgsql security definer as $$ begin ${body}; end $$;
    create trigger watch before delete on ${schema}.t${on} for each row execute function ${schema}.f()`);
  if (kind < 2 && roll(100) < 80) named[on] = ['watch'];
  return named;
}

function dependantsOf(
  roll: (n: number) => number,
  schema: string,
  links: readonly Link[],
  key: readonly string[],
  triggers: readonly string[][],
): Child[] {
  return links
    .filter((l) => l.to === 0 && l.targets.length === key.length && roll(100) < 90)
    .map((l) => {
      const letsGo = l.action === 'set null' || l.action === 'set default';
      const usual = letsGo ? 'keep' : l.from === 0 || roll(100) < 30 ? 'block' : 'delete';
      const inKeyOrder = key.map((k) => l.columns[l.targets.indexOf(k)] ?? l.columns[0]!);
      return {
        table: { schema, name: `t${l.from}` },
        key: [{ column: 'id', type: 'integer' }],
        references: roll(100) < 90 ? inKeyOrder : [...l.columns],
        fate: roll(100) < 90 ? usual : (['delete', 'keep', 'block'] as const)[roll(3)]!,
        knownTriggers: l.from === 0 ? [] : (triggers[l.from] ?? []),
      };
    });
}

/** Every row of the schema as receipts would name it. */
export async function rowsOf(db: TestDatabase | { sql: TestDatabase['sql'] }, r: Random): Promise<string[]> {
  const looks = r.keys.map((key, i) => {
    const text =
      key.length === 1
        ? `${key[0]}::text`
        : `jsonb_build_array(${key.map((k) => `${k}::text`).join(', ')})::text`;
    return `select '${r.schema}.t${i} ' || ${text} as row from ${r.schema}.t${i}`;
  });
  return (await db.sql(looks.join(' union all '))).map((row) => String(row.row)).sort();
}

/**
 * Row by row, in plain SQL and undone: an expired row goes with the rows its policy says go with it, if nothing it says
 * blocks, nothing refuses, nothing stays that should go, and nothing else goes. Until no more do. Gives what is left.
 */
export async function leftByPlainSql(db: TestDatabase, r: Random): Promise<string[]> {
  const session = await db.session();
  const governed = `${r.schema}.t0`;
  const joined = (d: Policy['dependants'][number]) =>
    d.references.map((c, i) => `d.${c} = k.${r.policy.key[i]!.column}`).join(' and ');
  const those = (fate: string) => r.policy.dependants.filter((d) => d.fate === fate);
  const all = () => rowsOf(session, r).then((rows) => rows.length);
  const alone = async (alt: number): Promise<boolean> => {
    const k = (await session.sql(`select * from ${governed} where alt = ${alt}`))[0]!;
    const row = `(select ${r.policy.key.map((c) => `${k[c.column]} as ${c.column}`).join(', ')}) k`;
    const some = async (d: Policy['dependants'][number]) =>
      (await session.sql(`select 1 from ${d.table.schema}.${d.table.name} d, ${row} where ${joined(d)}`))
        .length;
    for (const d of those('block')) if ((await some(d)) > 0) return false;
    const before = await all();
    let children = 0;
    for (const d of those('delete')) {
      children += (
        await session.sql(
          `delete from ${d.table.schema}.${d.table.name} d using ${row} where ${joined(d)} returning 1`,
        )
      ).length;
    }
    const gone = (await session.sql(`delete from ${governed} where alt = ${alt} returning 1`)).length;
    for (const d of those('delete')) if ((await some(d)) > 0) return false;
    return gone === 1 && (await all()) === before - 1 - children;
  };
  await session.sql('begin');
  for (let went = true; went; ) {
    went = false;
    const expired = await session.sql(
      `select alt from ${governed} where at < '${ago(30 * DAY)}' order by alt`,
    );
    for (const { alt } of expired) {
      await session.sql('savepoint one');
      const may = await alone(Number(alt)).catch(() => false);
      if (may) went = true;
      else await session.sql('rollback to savepoint one');
    }
  }
  const left = await rowsOf(session, r);
  await session.sql('rollback');
  session.end();
  return left;
}
