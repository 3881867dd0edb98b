/**
 * A long history: runs with their receipts, sealed into a chain that verifies; the decisions, messages and files of years. The same
 * for the same numbers. Made inside the database, in slices, so that a million receipts neither travel nor are held in memory.
 */
import { Client } from 'pg';
import { decided, isArchived } from './decided';
import { type History, id, oneOf, type Part, policyIn, SLICE_ROWS, tableIn } from './part';

const SLICE = 10_000;
/** Keys a receipt names. */
const KEYS = 4;
/** One run in so many is a dry run, and has no receipts. */
const DRY = 25;

/** What these do to one row at a time is done for all of them at the end, or need not be done: a million times the same few totals are written, or a batch is waited for. */
const COUNTED_AFTERWARDS = [
  ['retention.run', 'lapse_totals_written'],
  ['retention.receipt', 'lapse_archive'],
  ['retention.receipt', 'lapse_letters'],
  ...['hold', 'extension', 'dead_letter'].map((table) => [`retention.${table}`, 'user']),
];

/** Asked as the owner: what the roles of Lapse may not write is written here past their functions. */
export async function seedHistory(ownerUrl: string, history: History): Promise<void> {
  const owner = new Client(ownerUrl);
  await owner.connect();
  try {
    await owner.query(
      `insert into retention.policy_state (policy) select p from unnest($1::text[]) p on conflict do nothing`,
      [history.policies.map((p) => p.name)],
    );
    for (const trigger of COUNTED_AFTERWARDS)
      await owner.query(`alter table ${trigger.join(' disable trigger ')}`);
    for (const part of [...ran(history), ...decided(history)]) await fill(owner, history, part);
    for (const trigger of COUNTED_AFTERWARDS)
      await owner.query(`alter table ${trigger.join(' enable trigger ')}`);
    await stand(owner, history);
    await seal(owner, history);
    await index(owner, history);
    await owner.query('vacuum analyze');
  } finally {
    await owner.end();
  }
}

async function fill(owner: Client, { asOf, log }: History, [name, rows, text]: Part): Promise<void> {
  const began = performance.now();
  let written = 0;
  for (let from = 1; from <= rows; from += SLICE) {
    const { rowCount } = await owner.query(text, [
      asOf.toISOString(),
      from,
      Math.min(rows, from + SLICE - 1),
      rows,
    ]);
    written += rowCount ?? 0;
  }
  log?.(`${written.toLocaleString('en')} ${name} in ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

/** How many batches each deleting run has. */
const batches = ({ runs, receipts }: History): number => Math.max(1, Math.round(receipts / runs));

const deletes = `i % ${DRY} <> 0`;

/** What a dry run found; it has expired, and can be approved no more. */
const PREVIEW = `jsonb_build_object('expired', 40, 'bytes', 0, 'files', 0, 'estimatedRuns', 1, 'complete', true,
  'byRule', jsonb_build_object('all', jsonb_build_object('expired', 40, 'bytes', 0, 'files', 0)), 'dependants', '{}'::jsonb, 'kept', '{}'::jsonb,
  'blockers', '[]'::jsonb, 'sampleKeys', '[]'::jsonb, 'oldest', null, 'newest', null,
  'approvable', jsonb_build_object('digest', repeat(md5('p' || i), 2), 'expiresAt', to_char((x.at + interval '1 day') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))`;

function ran(history: History): Part[] {
  const { runs, organizations } = history;
  const [policy, table] = [policyIn(history), tableIn(history)];
  const n = batches(history);
  const deleted = `case when ${deletes} then ${n * KEYS} else 0 end`;
  return [
    [
      'runs',
      runs,
      `insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of, started_at, finished_at,
        outcome, reason, batches, picked, deleted, by_rule, kept, preview, duration_seconds, sla_status)
      select ${id('run')}, ${policy}, case when ${deletes} then 'delete' else 'dry_run' end, 'cron', 'cron', 'c' || i, i, 'v1', x.at, x.at,
        x.at + interval '9 seconds', case when i % 50 = 7 then 'interrupted' else 'succeeded' end, case when i % 50 = 7 then 'time' end,
        case when ${deletes} then ${n} else 0 end, ${deleted}, ${deleted},
        case when ${deletes} then jsonb_build_object('all', jsonb_build_object('deleted', ${deleted}, 'bytes', 0)) else '{}' end,
        case when i % 3 = 0 then jsonb_build_object('held', i % 7) else '{}' end, case when ${deletes} then null else ${PREVIEW} end,
        9, case when i % 40 = 1 then 'warning' else 'within_sla' end
      from ${SLICE_ROWS}`,
    ],
    [
      'receipts',
      runs,
      `insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, form, key_bytes, by_rule,
        locked, deleted, picked, committed_at, archive)
      select ${id('run')}, s, ${policy}, 'v1', 'delete', 'cron', 'retention', x.at, ${table}, 3,
        (select string_agg(uuid_send(${id('key', `i || '/' || s || '/' || k`)}), ''::bytea order by k) from generate_series(1, ${KEYS}) k),
        jsonb_build_object('all', jsonb_build_object('deleted', ${KEYS}, 'bytes', 0)), ${KEYS}, ${KEYS}, ${KEYS}, x.at + make_interval(secs => s / 1000.0),
        case when s = 1 and ${isArchived} then ${id('archive')} end
      from ${SLICE_ROWS} cross join generate_series(1, ${n}) s where ${deletes}`,
    ],
    [
      'totals of organizations',
      runs,
      `insert into retention.tenant_total (run, tenant, label, deleted)
      select ${id('run')}, ${id('organization', `(1 + i % ${organizations})`)}::text, 'all', ${KEYS} from ${SLICE_ROWS} where ${deletes}`,
    ],
    [
      'files',
      runs,
      `insert into retention.outbox (run, seq, policy, table_name, row_key, url, bytes, state, settled_as, created_at, updated_at, prefix)
      select ${id('run')}, 1, ${policy}, ${table}, ${id('key', `i || '/1/1'`)}::text, 'artifacts/' || i, 100,
        case when i % 1000 = 3 then 'dead' else 'deleted' end, case when i % 1000 = 3 then null else 'deleted' end, x.at, x.at, 'artifacts/'
      from ${SLICE_ROWS} where ${deletes}`,
    ],
  ];
}

/** The totals of all runs, and how each policy stands after its newest one. */
async function stand(owner: Client, { asOf }: History): Promise<void> {
  const totals = [
    `insert into retention.run_total (policy, mode, outcome, runs, seconds, buckets)
    select policy, mode, outcome, count(*), sum(duration_seconds), array_fill(0::bigint, array[cardinality(retention.run_bounds()) + 1])
    from retention.run group by 1, 2, 3`,
    `insert into retention.deleted_total (policy, plan, deleted, bytes)
    select policy, e.key, sum((e.value ->> 'deleted')::bigint), 0 from retention.run cross join jsonb_each(by_rule) e group by 1, 2`,
    `insert into retention.last_run (policy, run, started_at, finished_at, outcome, reason, seconds, sla_status, deleted, completed_at, drained_at)
    select distinct on (policy) policy, id, started_at, finished_at, outcome, reason, duration_seconds, sla_status, deleted, started_at, finished_at
    from retention.run where mode = 'delete' order by policy, started_at desc`,
  ];
  for (const text of totals) await owner.query(text);
  await owner.query(
    `insert into retention.backlog_day (policy, day, arriving, deleted_total, measured_at)
    select policy, $1::date - d, 100, 100 * (400 - d), $1::timestamptz - make_interval(days => d)
    from retention.policy_state cross join generate_series(0, 400) d`,
    [asOf.toISOString()],
  );
}

/** Acts of operators between the runs. */
const ACTS = ['hold.placed', 'hold.released', 'extension.set', 'policy.paused', 'policy.resumed'] as const;

/** Each run in the chain, as retention.seal_run would have put it there, and the acts of operators behind them. */
async function seal(owner: Client, { runs, log }: History): Promise<void> {
  log?.('the audit chain');
  await owner.query('analyze retention.run, retention.receipt');
  await owner.query('alter table retention.run disable trigger user');
  await owner.query(
    `create temporary table to_seal as
    select r.actor, r.id::text as run, jsonb_build_object('policy', r.policy, 'version', r.policy_version,
      'outcome', r.outcome, 'receipts', d.receipts, 'last_seq', d.last_seq, 'gaps', '[]'::jsonb, 'deleted', d.deleted, 'digest', d.digest) as detail
    from retention.run r join (
      select run, count(*) as receipts, max(seq) as last_seq, sum(deleted) as deleted,
        encode(sha256(string_agg(hash, ''::bytea order by seq)), 'hex') as digest
      from retention.receipt group by run) d on d.run = r.id
    order by r.started_at`,
  );
  // The last entry is looked for before each one, by a plan that is made once, while the chain is empty: it has to be its index.
  await owner.query('set enable_seqscan = off');
  await owner.query(
    `insert into retention.audit_entry (actor, action, subject, reason, detail)
    select actor, 'run.sealed', run, 'retention', detail from to_seal`,
  );
  await owner.query(`update retention.run set sealed_at = finished_at where mode = 'delete'`);
  await owner.query('alter table retention.run enable trigger user');
  await owner.query(
    `select count(*) from generate_series(1, $1::int) i cross join lateral retention.record('otto', ${oneOf(ACTS)}, ${id('act')}::text, 'case ' || i, '{}')`,
    [Math.round(runs / 10)],
  );
  await owner.query('reset enable_seqscan');
}

/** As retention.index_receipts makes it receipt by receipt, behind the runs; these have no dependants whose keys would be in it. */
async function index(owner: Client, { log }: History): Promise<void> {
  log?.('the index of receipts');
  const { rows } = await owner.query<{ made: string }>(
    `select pg_get_indexdef('retention.receipt_index_marks'::regclass) as made`,
  );
  await owner.query('drop index retention.receipt_index_marks');
  await owner.query(
    `insert into retention.receipt_index (receipt, marks) select x.id, retention.marks_of(retention.keys_of(x)) from retention.receipt x
    on conflict do nothing`,
  );
  await owner.query(rows[0]!.made);
  await owner.query('alter table retention.run disable trigger user');
  await owner.query(`update retention.run set indexed_at = finished_at where mode = 'delete'`);
  await owner.query('alter table retention.run enable trigger user');
}
