/**
 * A bounded look into a table: how old its rows are by each clock, how often the clock is empty, and what shape its
 * texts have. The database counts; the only values that leave it are instants, and the first folder that all files of
 * a column share. A table that cannot be read in time is described by its catalog alone.
 */
import { z } from 'zod';
import type { TableFacts } from './catalog';
import type { ByRows, Clock } from './clocks';
import { SHAPES } from './personal';
import { literal, quoted, quotedTable } from './quoting';
import type { Reader } from './read-only';

/** About 400 blocks: read from a cold disk in well under a second. */
const BLOCKS = 400;
const ROWS = 10_000;
const SAMPLE_MS = 5_000;
/** Texts are compared with forms, which takes longer than counting. */
const TEXT_ROWS = 1_000;
/** Of a text no more is looked at: its shape is at its beginning. */
const CHARACTERS = 300;
/** Texts of one table that are looked at. */
const TEXTS = 60;

const Age = z.object({
  empty: z.number(),
  /** As text, UTC; null: no row has one. */
  oldest: z.string().nullable(),
  ahead: z.number(),
  day30: z.number(),
  day90: z.number(),
  day365: z.number(),
});
export type Age = z.infer<typeof Age>;

const TextShape = z.object({
  values: z.number(),
  email: z.number(),
  ip: z.number(),
  phone: z.number(),
  /** Names of the store's own: https://….public.blob.vercel-storage.com/… */
  blob: z.number(),
  url: z.number(),
  /** Folder, then a name with an ending. */
  path: z.number(),
  /** Made by a machine: uuid, cuid, hash. */
  opaque: z.number(),
  /** The store's own random suffix before the ending. */
  suffixed: z.number(),
  folder: z.string().nullable(),
});
export type TextShape = z.infer<typeof TextShape>;

export interface Sample {
  /** How many rows were looked at. */
  readonly looked: number;
  /** It was the whole table. */
  readonly whole: boolean;
  readonly ages: ReadonlyMap<string, Age>;
  readonly texts: ReadonlyMap<string, TextShape>;
  /** Milliseconds or seconds, where the numbers lie between 2001 and 2100; else null. */
  readonly epochs: ReadonlyMap<string, 'seconds' | 'milliseconds' | null>;
  /** Digits behind the second, where all texts are ISO 8601 in one form; else null. */
  readonly isos: ReadonlyMap<string, 0 | 3 | 6 | null>;
}

/** Null: it could not be read, with why. */
export async function sampleOf(
  reader: Reader,
  table: TableFacts,
  clocks: readonly Clock[],
  epochs: readonly ByRows[],
  isos: readonly ByRows[],
): Promise<Sample | string> {
  const texts = table.columns.filter((c) => /^(text|character|.*\bcitext$)/.test(c.plain)).slice(0, TEXTS);
  const from = await somePartsOf(reader, table);
  const isParted = from[0] !== quotedTable(table);
  const pages = isParted ? (table.pages * from.length) / (table.partitioned?.partitions ?? 1) : table.pages;
  const whole = pages <= BLOCKS;
  const share = whole ? 100 : Math.max(0.0001, (100 * BLOCKS) / pages);
  // What is read of a row at all: the blocks that were drawn may hold more rows than are looked at.
  const bare = [...clocks, ...epochs, ...isos].map((c) => c.column).concat(texts.map((c) => c.name));
  const columns = [
    ...clocks.map((c, i) => `t.${quoted(c.column)} as c${i}`),
    ...epochs.map((e, i) => `t.${quoted(e.column)} as e${i}`),
    ...isos.map((e, i) => `t.${quoted(e.column)}::text as i${i}`),
    ...texts.map((c, i) => `left(t.${quoted(c.name)}::text, ${CHARACTERS}) as t${i}`),
  ];
  const measured = [
    ...clocks.map((c, i) => `'c${i}', ${age(`s.c${i}`, c)}`),
    ...epochs.map((_, i) => `'e${i}', ${unit(`s.e${i}`)}`),
    ...isos.map((_, i) => `'i${i}', ${digits(`s.i${i}`)}`),
  ];
  const shapes = texts.map((_, i) => `'t${i}', ${shape(`s.t${i}`)}`);
  const most = Math.ceil((whole ? ROWS * 10 : ROWS) / from.length);
  // Of all blocks alike: the first ones hold the oldest rows, and the first partitions too.
  const drawn = whole ? '' : `tablesample system (${share.toFixed(4)}) order by random()`;
  const read = from.map(
    (t) => `(select ${['1 as one', ...columns].join(', ')}
      from (select ${['1 as one', ...new Set(bare.map(quoted))].join(', ')} from ${t} t ${drawn} limit ${most}) t)`,
  );
  const statement = `with s as materialized (${read.join(' union all ')})
    , few as materialized (select * from s limit ${TEXT_ROWS})
    select (select count(*)::int from s) as looked,
      ${counted(measured, 's')} || ${counted(shapes, 'few s')} as found`;
  try {
    const [row] = await reader.ask<{ looked: number; found: Record<string, unknown> }>(
      statement,
      [],
      SAMPLE_MS,
    );
    const found = row?.found ?? {};
    return {
      looked: row?.looked ?? 0,
      whole: whole && !isParted && (row?.looked ?? 0) < ROWS * 10,
      ages: new Map(clocks.map((c, i) => [c.column, Age.parse(found[`c${i}`])])),
      texts: new Map(texts.map((c, i) => [c.name, TextShape.parse(found[`t${i}`])])),
      epochs: new Map(
        epochs.map((e, i) => [
          e.column,
          z.enum(['seconds', 'milliseconds']).nullable().parse(found[`e${i}`]),
        ]),
      ),
      isos: new Map(
        isos.map((e, i) => [
          e.column,
          z
            .union([z.literal(0), z.literal(3), z.literal(6)])
            .nullable()
            .parse(found[`i${i}`]),
        ]),
      ),
    };
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    if (code === undefined) throw error;
    return `could not be read: ${message} (${code})`;
  }
}

/** The table itself; of one with many partitions some of them, evenly: read as a whole, all of them would be locked. */
async function somePartsOf(reader: Reader, table: TableFacts): Promise<string[]> {
  const all = table.partitioned?.partitions ?? 0;
  if (all <= MOST_PARTS) return [quotedTable(table)];
  const parts = await reader.ask<{ part: string }>(
    `with recursive p(relid) as (
        select $1::oid union all select i.inhrelid from p join pg_inherits i on i.inhparent = p.relid where not i.inhdetachpending
      ), leaf as (
        select format('%I.%I', n.nspname, c.relname) as part, row_number() over (order by c.oid) as k, count(*) over () as n
        from p join pg_class c on c.oid = p.relid join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and pg_relation_size(c.oid) > 0
      )
      select part from leaf where k * $2::int / n > (k - 1) * $2::int / n or n <= $2::int order by k`,
    [table.oid, MOST_PARTS],
  );
  return parts.length > 0 ? parts.map((p) => p.part) : [`only ${quotedTable(table)}`];
}
/** Of each up to a few locks. */
const MOST_PARTS = 50;

/** One object of all pairs; a function takes a hundred arguments. */
function counted(pairs: readonly string[], from: string): string {
  const parts: string[] = [];
  for (let i = 0; i < pairs.length; i += 40)
    parts.push(`jsonb_build_object(${pairs.slice(i, i + 40).join(', ')})`);
  return parts.length > 0 ? `(select ${parts.join(' || ')} from ${from})` : `'{}'::jsonb`;
}

/** What has no zone is taken for UTC here: these are sizes, not cutoffs. */
function age(column: string, clock: Clock): string {
  const at = clock.type === 'timestamptz' ? column : `(${column}::timestamp at time zone 'UTC')`;
  const older = (days: number) => `count(*) filter (where ${at} < now() - interval '${days} days')`;
  return `jsonb_build_object('empty', count(*) - count(${column}), 'ahead', count(*) filter (where ${at} > now() + interval '5 minutes'),
    'oldest', (min(${at}) filter (where isfinite(${column})))::text, 'day30', ${older(30)}, 'day90', ${older(90)}, 'day365', ${older(365)})`;
}

const unit = (
  column: string,
): string => `case when min(${column}) between 978307200 and 4102444800 and max(${column}) < 4102444800 then 'seconds'
    when min(${column}) between 978307200000 and 4102444800000 and max(${column}) < 4102444800000 then 'milliseconds' end`;

/** All of them in the one form, however many are empty. */
function digits(column: string): string {
  const all = (n: 0 | 3 | 6) =>
    `bool_and(${column} ~ ${literal(`^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d${n === 0 ? '' : `\\.\\d{${n}}`}Z$`)}) filter (where ${column} <> '')`;
  return `case when ${all(3)} then 3 when ${all(0)} then 0 when ${all(6)} then 6 end`;
}

const BLOB = '^https://[a-z0-9]+\\.(public|private)\\.blob\\.vercel-storage\\.com/';

function shape(column: string): string {
  const like = (form: string) => `count(*) filter (where ${column} ~ ${literal(form)})`;
  const path = `regexp_replace(regexp_replace(${column}, ${literal('^https?://[^/]+/')}, ''), '^/', '')`;
  const isFile = `${column} ~ ${literal(`${BLOB}|^/?[a-z0-9_-]+/.+\\.[A-Za-z0-9]{1,5}$`)}`;
  const folder = `substring(${path} from ${literal('^([a-z][a-z0-9_-]{0,30}/)')})`;
  return `jsonb_build_object('values', count(*) filter (where ${column} <> ''),
    'email', ${like(SHAPES.email)}, 'ip', ${like(SHAPES.ip)}, 'phone', ${like(SHAPES.phone)},
    'blob', ${like(BLOB)}, 'url', ${like('^https?://')}, 'path', ${like('^/?[A-Za-z0-9_-]+/.+\\.[A-Za-z0-9]{1,5}$')},
    'opaque', ${like('^([0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|c[a-z0-9]{24}|[a-z0-9]{24}|[0-9A-HJKMNP-TV-Z]{26}|[0-9a-f]{32,128}|[a-z]{2,8}_[A-Za-z0-9]{10,})$|^(?=.*[0-9])[A-Za-z0-9_-]{16,}={0,2}$')},
    'suffixed', ${like('-[A-Za-z0-9]{24,}(\\.[A-Za-z0-9]+)?$')},
    'folder', case when count(distinct ${folder}) filter (where ${isFile}) = 1 and count(*) filter (where ${isFile} and ${folder} is null) = 0
      then min(${folder}) filter (where ${isFile}) end)`;
}
