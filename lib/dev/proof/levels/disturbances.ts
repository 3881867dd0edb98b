/** What another session does to the tree while a batch runs: one act at one level. */
import { baseOf, type Form, LEVELS, type Level, OLD, PARENT, rowAt, YOUNG } from './tables';

export const KINDS = [
  'inserts',
  'moves out',
  'inserts a held one',
  'moves in',
  'moves in a held one',
  'hangs',
  'makes young',
  'writes',
  'holds the row',
  'holds its person',
  'extends',
  'pins',
  'marks',
  'locks',
  'deletes',
] as const;
export type Kind = (typeof KINDS)[number];

export interface Act {
  /** One after the other, in one transaction; each answers with `t, id` of the rows that it inserted or deleted. */
  readonly statements: readonly string[];
  readonly does: 'inserts' | 'deletes' | 'changes';
  /** What there is before the run. */
  readonly before?: string;
  /** Left open until the batch has ended. */
  readonly stays?: true;
}

/** Null: there is no such act at this level of this form. */
export function actOf(form: Form, kind: Kind, level: Level, number: number): Act | null {
  const base = baseOf(number);
  const id = rowAt(base, level, 'old');
  const young = rowAt(base, level, 'young');
  const changes = (statement: string): Act => ({ statements: [statement], does: 'changes' });
  switch (kind) {
    case 'inserts':
      return { statements: [inserting(base, level)], does: 'inserts' };
    case 'moves out':
      return moving(form, base, level, { row: id, to: 'young' });
    case 'inserts a held one':
      return level === 'doc'
        ? null
        : {
            statements: [inserting(base, level)],
            does: 'inserts',
            before: holding(`'user', '${level}-${id + 8}', null`),
          };
    case 'moves in':
      return moving(form, base, level, { row: young, to: 'old' });
    case 'moves in a held one': {
      const act = moving(form, base, level, { row: young, to: 'old' });
      return act && { ...act, before: holding(`'item', '${young}', 'public.${level}'`) };
    }
    case 'hangs':
      return form === 'thread' && level === 'version'
        ? changes(`update version set parent = ${id} where id = ${young}`)
        : null;
    case 'makes young':
      return level === 'doc' ? changes(`update doc set at = '${YOUNG}' where id = ${id}`) : null;
    case 'writes':
      return changes(`update ${level} set word = 'changed' where id = ${id}`);
    case 'holds the row':
      return changes(holding(`'item', '${id}', 'public.${level}'`));
    case 'holds its person':
      return changes(holding(`'user', '${level}-${id}', null`));
    case 'extends':
      return changes(
        `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ('public.${level}', '${id}', '2090-01-01', 'proof', 'alice')`,
      );
    case 'pins':
      return changes(`insert into pin (${level}) values (${id})`);
    case 'marks':
      return form === 'marks' ? changes(`insert into mark (${level}) values (${id})`) : null;
    case 'locks':
      return { ...changes(`select 1 from ${level} where id = ${id} for update`), stays: true };
    case 'deletes':
      return { statements: deleting(level, id), does: 'deletes' };
  }
}

/** Scope, subject, table. */
const holding = (what: string): string =>
  `insert into retention.hold (scope, subject, table_name, reason, placed_by) values (${what}, 'proof', 'alice')`;

function inserting(base: number, level: Level): string {
  const id = rowAt(base, level, 'old') + 8;
  if (level === 'doc')
    return `insert into doc (id, at) values (${base + 8}, '${OLD}'), (${base + 9}, '${YOUNG}') returning 'doc' as t, id`;
  const above = rowAt(base, PARENT[level], 'old');
  return `insert into ${level} (id, ${PARENT[level]}, person, path) values (${id}, ${above}, '${level}-${id}', 'levels/${level}-${id}') returning '${level}' as t, id`;
}

function moving(
  form: Form,
  base: number,
  level: Level,
  { row, to }: { readonly row: number; readonly to: 'old' | 'young' },
): Act | null {
  const put = (table: Level, column: string, parent: number, id: number): Act => ({
    statements: [`update ${table} set ${column} = ${parent} where id = ${id}`],
    does: 'changes',
  });
  if (level !== 'doc') return put(level, PARENT[level], rowAt(base, PARENT[level], to), row);
  if (form !== 'folders') return null;
  // The second document lies in the first.
  return put('doc', 'parent', rowAt(base, 'doc', to), to === 'young' ? base + 2 : row);
}

/** With everything below it, from the bottom. */
function deleting(level: Level, id: number): string[] {
  const rows: Record<Level, string> = {
    doc: `select ${id} as id`,
    note: level === 'note' ? `select ${id} as id` : `select id from note where doc = ${id}`,
    version: '',
    page: '',
  };
  rows.version =
    level === 'version' ? `select ${id} as id` : `select id from version where note in (${rows.note})`;
  rows.page =
    level === 'page' ? `select ${id} as id` : `select id from page where version in (${rows.version})`;
  return LEVELS.slice(LEVELS.indexOf(level))
    .toReversed()
    .map((t) => `delete from ${t} where id in (${rows[t]}) returning '${t}' as t, id`);
}
