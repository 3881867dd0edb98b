/**
 * Is Lapse exact on a schema that nobody wrote for it? Its tables are filled with random rows; for each table that adopt would
 * govern, everything that refers to a row going along, one run on a copy of the database is held against PostgreSQL's own reading: the
 * same DELETE, with every foreign key that would keep a row made to cascade, rolled back.
 */
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { runPolicy } from '../../../engine/run/run';
import { definePolicy, type Policy } from '../../../policies/contract';
import { createServices } from '../../../services';
import { apply } from '../../adopt/apply';
import { draftOf } from '../../adopt/draft';
import { judge } from '../../adopt/judge';
import { quoted } from '../../adopt/quoting';
import { type Reader, reading } from '../../adopt/read-only';
import { type Survey, type Surveyed, survey } from '../../adopt/survey';
import type { LocalCloud } from '../../local-cloud';
import { migrate } from '../../migrate';
import { fill, THEIRS } from './fill';

export interface SchemaProof {
  readonly exact: number;
  /** Tables that could not be governed, each with the reason. */
  readonly refused: readonly string[];
  /** Tables whose run was not as PostgreSQL has it, each with what differs. */
  readonly wrong: readonly string[];
  /** Rows that left, of all tables. */
  readonly rows: number;
  /** Tables that have no rows, each with the reason. */
  readonly empty: readonly string[];
}

export interface SchemaRequest {
  readonly cloud: LocalCloud;
  /** As `pg_dump --schema-only` writes it. */
  readonly schema: string;
  /** Of each table. */
  readonly rows: number;
  readonly seed: number;
  /** Only tables whose label it is; all without. */
  readonly only?: readonly string[];
  readonly say: (line: string) => void;
  /** Done as the owner behind each run: what it changes has to be noticed. */
  readonly meddle?: (owner: Client) => Promise<unknown>;
}

/** How old a row has to be. */
const DAYS = 400;

export async function proveSchema(request: SchemaRequest): Promise<SchemaProof> {
  const { cloud, say } = request;
  const name = `schema_${randomUUID().replaceAll('-', '')}`;
  const [template, mirror] = [`${name}_a`, `${name}_b`];
  const empty = await prepared(request, template, mirror);
  const found = { exact: 0, refused: [] as string[], wrong: [] as string[], rows: 0, empty };
  await reading(cloud.ownerUrl(mirror), async (reader) => {
    const seen = await survey(reader);
    for (const table of seen.tables.filter((t) => request.only?.includes(t.label) ?? true)) {
      const policy = await governing(reader, seen, table);
      if (policy === null) continue;
      if ('problem' in policy) {
        found.refused.push(`${table.label}: ${policy.problem}`);
        continue;
      }
      const tried = await onCopy(request, { template, mirror, copy: `${name}_c` }, policy);
      found.rows += tried.rows;
      if (tried.problems.length === 0) found.exact += 1;
      else found.wrong.push(`${table.label}: ${tried.problems.join('; ')}`);
      say(`${tried.problems.length === 0 ? 'exact' : 'WRONG'} ${table.label}: ${tried.said}`);
    }
  });
  for (const database of [template, mirror]) await cloud.dropDatabase(database);
  return found;
}

/** The filled database with Lapse's schema in it, and a second one in which every foreign key that keeps a row cascades. */
async function prepared(request: SchemaRequest, template: string, mirror: string): Promise<string[]> {
  const { cloud, schema, rows, seed } = request;
  await cloud.createDatabase(template);
  const empty = await asOwner(cloud, template, async (owner) => {
    // Commands of psql stand in a dump; a search_path that is left empty would hide the tables from what follows.
    await owner.query(schema.replaceAll(/^\\.*$/gm, ''));
    await owner.query('reset all');
    return fill(owner, rows, seed);
  });
  await migrate(cloud.ownerUrl(template), { sets: ['retention'], direction: 'up' });
  await cloud.createDatabase(mirror, template);
  await asOwner(cloud, mirror, async (owner) => {
    for (const statements of [CASCADING, WAITING])
      for (const { statement } of (await owner.query<{ statement: string }>(statements)).rows)
        await owner.query(statement);
  });
  return empty;
}

async function asOwner<T>(
  cloud: LocalCloud,
  database: string,
  work: (owner: Client) => Promise<T>,
): Promise<T> {
  const owner = new Client({ connectionString: cloud.ownerUrl(database) });
  await owner.connect();
  try {
    return await work(owner);
  } finally {
    await owner.end();
  }
}

const CASCADING = `select format('alter table %s drop constraint %I, add constraint %I %s on delete cascade not valid', f.conrelid::regclass, f.conname,
    f.conname, regexp_replace(regexp_replace(pg_get_constraintdef(f.oid), ' ON DELETE (RESTRICT|NO ACTION)', ''), ' (NOT )?DEFERRABLE.*| NOT VALID', '')) as statement
  from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_namespace n on n.oid = c.relnamespace
  where f.contype = 'f' and f.confdeltype in ('a', 'r') and f.conparentid = 0 and ${THEIRS} and not c.relispartition and c.relkind = 'r'
    and (select k.relkind from pg_class k where k.oid = f.confrelid) = 'r'`;

/**
 * A row whose references are set to null one after the other is checked in between, by PostgreSQL's own triggers, against rows
 * that are gone already: the one DELETE would be refused. Here it is checked at its end.
 */
const WAITING = `select format('alter table %s alter constraint %I deferrable initially deferred', f.conrelid::regclass, f.conname) as statement
  from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_namespace n on n.oid = c.relnamespace
  where f.contype = 'f' and f.conparentid = 0 and ${THEIRS}`;

interface Governed {
  readonly policy: Policy;
  readonly steps: Awaited<ReturnType<typeof judge>>['steps'];
}

/** The policy that adopt would write; null where nothing says when a row is over. */
async function governing(
  reader: Reader,
  seen: Survey,
  table: Surveyed,
): Promise<Governed | { problem: string } | null> {
  if (table.technical !== null || (table.facts.kind !== 'r' && table.facts.kind !== 'p')) return null;
  const draft = draftOf(seen, table, { keyNamesNobody: true, along: true });
  if ('problem' in draft) return draft.timeless ? null : draft;
  const input = { ...draft.input, rules: [{ label: 'all', keepFor: { seconds: DAYS * 86_400 } }] };
  const { steps, refused } = await judge(reader, seen.catalog, input, []);
  return refused[0] ?? { policy: definePolicy(input), steps };
}

interface Places {
  readonly template: string;
  readonly mirror: string;
  readonly copy: string;
}

async function onCopy({ cloud, meddle }: SchemaRequest, places: Places, { policy, steps }: Governed) {
  const { template, mirror, copy } = places;
  await cloud.createDatabase(copy, template);
  const problems: string[] = [];
  try {
    const failed = (await apply(cloud.ownerUrl(copy), steps, () => undefined)).filter((s) => s.error);
    problems.push(...failed.map((s) => `${s.step.statement}: ${s.error}`));
    const before = await asOwner(cloud, copy, everyRow);
    const run = runner(cloud.env(copy), policy);
    const dry = await run(true);
    const real = await run(false);
    if (real.outcome !== 'succeeded') problems.push(`ended ${real.outcome}: ${real.message}`);
    if (meddle) await asOwner(cloud, copy, meddle);
    const after = await asOwner(cloud, copy, everyRow);
    const expected = await asOwner(cloud, mirror, (owner) => afterDelete(owner, policy, real.asOf));
    problems.push(...differences(expected, after));
    const named = await asOwner(cloud, copy, receipted);
    const gone = Object.keys(before).reduce((sum, t) => sum + before[t]!.rows - (after[t]?.rows ?? 0), 0);
    const promised =
      (dry.preview?.expired ?? 0) +
      Object.values(dry.preview?.dependants ?? {}).reduce((sum, n) => sum + n, 0);
    if (named !== gone) problems.push(`${gone} rows are gone, receipts name ${named}`);
    if (promised !== gone) problems.push(`${gone} rows are gone, the dry run said ${promised}`);
    const tables = new Set(policy.dependants.filter((d) => d.fate === 'delete').map((d) => d.table.name));
    return {
      problems,
      rows: gone,
      said: `${real.deleted} rows and ${gone - real.deleted} in ${tables.size} tables below`,
    };
  } finally {
    await cloud.dropDatabase(copy);
  }
}

/** The guard rails have proofs of their own. */
function runner(env: Record<string, string>, policy: Policy) {
  const services = createServices({
    ...env,
    CRON_SECRET: 'a-secret-of-this-proof',
    VERCEL_ENV: 'production',
    LOG_LEVEL: 'silent',
    LAPSE_NAMESPACE: randomUUID(),
    LAPSE_MASS_DELETION_GUARD: 'off',
    LAPSE_PROGRESSIVE_ROLLOUT: 'off',
    LAPSE_COOLING_OFF_DAYS: '0',
  });
  return (dryRun: boolean) =>
    runPolicy(services, policy, {
      trigger: 'manual',
      actor: 'proof',
      correlationId: randomUUID(),
      deadline: new Date(Date.now() + 600_000),
      dryRun,
    });
}

interface Rows {
  readonly rows: number;
  /** The same for the same rows, in whatever order. */
  readonly sum: string;
}
type Everything = Record<string, Rows>;

async function everyRow(owner: Client): Promise<Everything> {
  const { rows: tables } = await owner.query<{ label: string; only: string }>(
    `select format('%I.%I', n.nspname, c.relname) as label, case when c.relkind = 'r' then 'only ' else '' end as only from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and not c.relispartition and ${THEIRS}`,
  );
  if (tables.length === 0) return {};
  const each = tables.map(
    ({ label, only }) =>
      `select '${label.replaceAll("'", "''")}' as label, count(*)::int as rows, coalesce(sum(hashtextextended(x::text, 0)::numeric), 0)::text as sum from ${only}${label} x`,
  );
  const { rows } = await owner.query<Rows & { label: string }>(each.join('\nunion all\n'));
  return Object.fromEntries(rows.map(({ label, ...r }) => [label, r]));
}

/** What PostgreSQL leaves of the mirror after the one DELETE. */
async function afterDelete(owner: Client, policy: Policy, asOf: string): Promise<Everything> {
  const from = `${quoted(policy.table.schema)}.${quoted(policy.table.name)}`;
  const due = `${instantOf(policy)} < '${asOf}'::timestamptz - make_interval(secs => ${DAYS * 86_400})`;
  const others = async () => {
    const { rows } = await owner.query<{ n: number }>(
      `select count(*)::int as n from ${from} where (${due}) is not true`,
    );
    return rows[0]!.n;
  };
  await owner.query('begin');
  try {
    const staying = await others();
    await owner.query(`savepoint s; delete from ${from} where ${due}`);
    // A row of the same table that is not old enough keeps what it hangs on.
    if ((await others()) !== staying) {
      await owner.query('rollback to s');
      const { rows } = await owner.query<{ place: string }>(
        `select ctid::text as place from ${from} where ${due}`,
      );
      for (const { place } of rows) {
        await owner.query(`savepoint s; delete from ${from} where ctid = '${place}'`);
        if ((await others()) !== staying) await owner.query('rollback to s');
      }
    }
    await owner.query('set constraints all immediate');
    return await everyRow(owner);
  } finally {
    await owner.query('rollback');
  }
}

function instantOf({ clock }: Policy): string {
  const at =
    'otherwise' in clock && clock.otherwise
      ? `coalesce(${[clock.column, ...clock.otherwise].map(quoted).join(', ')})`
      : quoted(clock.column);
  if (clock.type === 'timestamptz') return at;
  // A day has to be over.
  if (clock.type === 'date') return `(${at} + 1)::timestamp at time zone 'UTC'`;
  return clock.type === 'epoch'
    ? `to_timestamp(${at}${clock.unit === 'milliseconds' ? ' / 1000.0' : ''})`
    : `${at}::timestamp at time zone 'UTC'`;
}

const differences = (expected: Everything, after: Everything): string[] =>
  Object.entries(expected)
    .filter(([label, { rows, sum }]) => after[label]?.rows !== rows || after[label]?.sum !== sum)
    .map(
      ([label, { rows }]) =>
        `PostgreSQL leaves ${rows} rows of ${label}, Lapse ${after[label]?.rows}${after[label]?.rows === rows ? ', others' : ''}`,
    );

async function receipted(owner: Client): Promise<number> {
  const { rows } = await owner.query<{ n: number }>(
    'select coalesce(sum(deleted + dependants_deleted), 0)::int as n from retention.receipt',
  );
  return rows[0]!.n;
}
