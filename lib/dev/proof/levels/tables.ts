/**
 * The trees of this proof: four levels, a reference without cascade in the middle, and a shape of its own each: a plain chain,
 * a thread (versions answer versions), folders (documents in documents), and rows that stay and lose their reference.
 */
import { days, definePolicy, type Policy, type PolicyInput } from '../../../policies/contract';
import { NOW } from '../shapes/times';

export const LEVELS = ['doc', 'note', 'version', 'page'] as const;
export type Level = (typeof LEVELS)[number];
/** By what a row of each level refers to the one above. */
export const PARENT = { note: 'doc', version: 'note', page: 'version' } as const;

export const FORMS = ['chain', 'thread', 'folders', 'marks'] as const;
export type Form = (typeof FORMS)[number];

const DAY_MS = 86_400_000;
export const OLD = new Date(NOW.getTime() - 99 * DAY_MS).toISOString();
export const YOUNG = new Date(NOW.getTime() - DAY_MS).toISOString();
export const CUTOFF = new Date(NOW.getTime() - 30 * DAY_MS).toISOString();

const COMMON = 'person text, path text, word text';

export const tablesOf = (form: Form): string => `
  create table doc (id int primary key, at timestamptz not null, parent int${form === 'folders' ? ' references doc' : ''}, ${COMMON});
  create table note (id int primary key, doc int not null references doc on delete cascade, ${COMMON});
  create table version (id int primary key, note int not null references note, parent int${form === 'thread' ? ' references version' : ''}, ${COMMON});
  create table page (id int primary key, version int not null references version on delete cascade, ${COMMON});
  create table pin (id int primary key generated always as identity, ${references('')});
  create table mark (id int primary key generated always as identity, ${form === 'marks' ? references('') : LEVELS.map((t) => `${t} int`).join(', ')});
  create index on doc (at, id);
  ${form === 'folders' ? 'create index on doc (parent);' : ''}
  ${form === 'thread' ? 'create index on version (parent);' : ''}
  create index on note (doc); create index on version (note); create index on page (version);
  ${LEVELS.flatMap((t) => [`create index on pin (${t});`, `create index on mark (${t});`, `create index on ${t} (retention.blob_path(path));`]).join('\n')}
  grant select, update, delete on all tables in schema public to lapse_app;
  grant select, update on all tables in schema public to lapse_operator;
  ${LEVELS.map((t) => `select retention.protect('public.${t}');`).join('\n')}`;

const references = (more: string): string => LEVELS.map((t) => `${t} int references ${t}${more}`).join(', ');

type Declared = NonNullable<PolicyInput['dependants']>[number];
const KEY = [{ column: 'id', type: 'integer' }];

const below = (name: string, via: Level, column: string, more: Partial<Declared> = {}): Declared => ({
  table: { name },
  ...(via === 'doc' ? {} : { via: { name: via } }),
  key: KEY,
  references: [column],
  fate: 'delete',
  ...more,
});
const FILES = [{ column: 'path', fate: 'delete' as const, prefix: 'levels/' }];
const OWN = { scope: { user: 'person' }, files: FILES };

export const policyOf = (form: Form): Policy =>
  definePolicy({
    name: `levels-${form}`,
    description: 'a tree that others write to while it goes',
    justification: 'because a proof wants it so',
    ground: 'test',
    schedule: { run: '0 2 * * *' },
    table: { name: 'doc' },
    key: KEY,
    clock: { column: 'at', type: 'timestamptz' },
    rules: [{ label: 'all', keepFor: days(30) }],
    ...OWN,
    dependants: [
      below('note', 'doc', 'doc', OWN),
      below('version', 'note', 'note', OWN),
      below('page', 'version', 'version', OWN),
      ...(form === 'thread' ? [below('version', 'version', 'parent', OWN)] : []),
      ...(form === 'folders' ? [below('doc', 'doc', 'parent')] : []),
      ...LEVELS.map((level) => below('pin', level, level, { fate: 'block' })),
      ...(form === 'marks' ? LEVELS.map((level) => below('mark', level, level, { fate: 'set-null' })) : []),
    ],
  });

/** Ids of one case begin here, so that no receipt of another names them. */
export const baseOf = (number: number): number => (number + 1) * 10_000;

/** Three documents, two old and one young, each with two rows below every row: fifteen rows. */
export const rowsOf = (form: Form, base: number): string => `
  insert into doc (id, at, parent)
    select ${base} + i, case i when 3 then '${YOUNG}'::timestamptz else '${OLD}'::timestamptz + i * interval '1 minute' end,
      ${form === 'folders' ? `case i when 2 then ${base} + 1 end` : 'null'} from generate_series(1, 3) i;
  insert into note (id, doc) select ${base} + 10 * i + n, ${base} + i from generate_series(1, 3) i, generate_series(1, 2) n;
  insert into version (id, note, parent) select ${base} + 100 * i + 10 * n + v, ${base} + 10 * i + n,
      ${form === 'thread' ? `case v when 2 then ${base} + 100 * i + 10 * n + 1 end` : 'null'}
    from generate_series(1, 3) i, generate_series(1, 2) n, generate_series(1, 2) v;
  insert into page (id, version) select ${base} + 1000 * i + 100 * n + 10 * v + p, ${base} + 100 * i + 10 * n + v
    from generate_series(1, 3) i, generate_series(1, 2) n, generate_series(1, 2) v, generate_series(1, 2) p;
  ${LEVELS.map((t) => `update ${t} set person = '${t}-' || id, path = 'levels/${t}-' || id;`).join(' ')}
  ${form === 'marks' ? `insert into mark (doc, note, version, page) values (${base + 1}, ${base + 21}, ${base + 311}, ${base + 1222}), (null, null, ${base + 112}, null)` : ''}`;

/** The row on the way down from the first document, and from the young one. */
export const rowAt = (base: number, level: Level, of: 'old' | 'young'): number =>
  base + (of === 'old' ? 1 : 3) * 10 ** LEVELS.indexOf(level) + [0, 1, 11, 111][LEVELS.indexOf(level)]!;
