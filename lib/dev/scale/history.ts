/**
 * A long history: runs with their receipts, sealed into a chain that verifies; the decisions, messages and files of years. The same
 * for the same numbers. Made inside the database, in slices, so that a million receipts neither travel nor are held in memory.
 */
import { Client } from 'pg';

export interface History {
  readonly runs: number;
  /** In all, as many a run. */
  readonly receipts: number;
  readonly organizations: number;
  readonly policies: readonly string[];
  /** The newest run began then. */
  readonly asOf: Date;
  readonly log?: (line: string) => void;
}

const SLICE = 10_000;
/** Keys a receipt names. */
const KEYS = 4;
/** Runs go back so far. */
const DAYS = 400;
/** One run in so many is a dry run, and has no receipts. */
const DRY = 25;

/** A uuid (version 4 by its form) that depends on its kind and number only. */
const id = (kind: string, i = 'i'): string =>
  `overlay(overlay(md5('${kind}' || ${i}) placing '4' from 13) placing '8' from 17)::uuid`;
/** `$1` the newest instant, `$2` and `$3` the slice, `$4` how many there are. */
const at = `$1::timestamptz - make_interval(secs => ($4::int - i) * (${DAYS} * 86400.0 / $4::int))`;

/** The numbers of a slice, each with its instant. */
const SLICE_ROWS = `generate_series($2::int, $3::int) i cross join lateral (select ${at} as at) x`;

/** Name of the table, how many rows, and the statement of a slice. */
type Part = readonly [name: string, rows: number, text: string];

/** Asked as the owner: what the roles of Lapse may not write is written here past their functions. */
export async function seedHistory(ownerUrl: string, history: History): Promise<void> {
  const owner = new Client(ownerUrl);
  await owner.connect();
  try {
    await owner.query(
      `insert into retention.policy_state (policy) select p from unnest($1::text[]) p on conflict do nothing`,
      [history.policies],
    );
    for (const part of [...ran(history), ...decided(history), ...told(history)])
      await fill(owner, history, part);
    await seal(owner, history);
    await owner.query('vacuum analyze');
  } finally {
    await owner.end();
  }
}

async function fill(owner: Client, { asOf, log }: History, [name, rows, text]: Part): Promise<void> {
  log?.(`${rows.toLocaleString('en')} ${name}`);
  for (let from = 1; from <= rows; from += SLICE) {
    await owner.query(text, [asOf.toISOString(), from, Math.min(rows, from + SLICE - 1), rows]);
  }
}

/** How many batches each deleting run has. */
const batches = ({ runs, receipts }: History): number => Math.max(1, Math.round(receipts / runs));

const names = (policies: readonly string[]): string =>
  `(array[${policies.map((p) => `'${p}'`).join(',')}])[1 + i % ${policies.length}]`;

function ran(history: History): Part[] {
  const { runs, policies, organizations } = history;
  const n = batches(history);
  const deletes = `i % ${DRY} <> 0`;
  const deleted = `case when ${deletes} then ${n * KEYS} else 0 end`;
  return [
    [
      'runs',
      runs,
      `insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of, started_at, finished_at,
        outcome, reason, batches, picked, deleted, by_rule, duration_seconds, sla_status)
      select ${id('run')}, ${names(policies)}, case when ${deletes} then 'delete' else 'dry_run' end, 'cron', 'cron', 'c' || i, i, 'v1', x.at, x.at,
        x.at + interval '9 seconds', case when i % 50 = 7 then 'interrupted' else 'succeeded' end, case when i % 50 = 7 then 'time' end,
        case when ${deletes} then ${n} else 0 end, ${deleted}, ${deleted},
        case when ${deletes} then jsonb_build_object('all', jsonb_build_object('deleted', ${deleted}, 'bytes', 0)) else '{}' end,
        9, case when i % 40 = 1 then 'warning' else 'within_sla' end
      from ${SLICE_ROWS}`,
    ],
    [
      'runs with receipts',
      runs,
      `insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, form, key_bytes, by_rule,
        locked, deleted, picked, committed_at)
      select ${id('run')}, s, ${names(policies)}, 'v1', 'delete', 'cron', 'retention', x.at, 'public.' || ${names(policies)}, 3,
        (select string_agg(uuid_send(${id('key', `i || '/' || s || '/' || k`)}), ''::bytea order by k) from generate_series(1, ${KEYS}) k),
        jsonb_build_object('all', jsonb_build_object('deleted', ${KEYS}, 'bytes', 0)), ${KEYS}, ${KEYS}, ${KEYS}, x.at + make_interval(secs => s / 1000.0)
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
      select ${id('run')}, 1, ${names(policies)}, 'public.' || ${names(policies)}, ${id('key', `i || '/1/1'`)}::text, 'artifacts/' || i, 100,
        case when i % 1000 = 3 then 'dead' else 'deleted' end, case when i % 1000 = 3 then null else 'deleted' end, x.at, x.at, 'artifacts/'
      from ${SLICE_ROWS} where ${deletes}`,
    ],
  ];
}

function decided({ runs, organizations, policies }: History): Part[] {
  const some = Math.max(2_000, Math.round(runs / 20));
  const table = `'public.' || ${names(policies)}`;
  return [
    [
      'holds',
      some,
      `insert into retention.hold (scope, subject, table_name, reason, placed_by, placed_at, released_by, released_at, release_reason)
      select case when i % 3 = 0 then 'item' else 'organization' end, case when i % 3 = 0 then ${id('held')}::text
          else ${id('organization', `(1 + i % ${organizations})`)}::text || case when i > ${organizations} then i::text else '' end end,
        case when i % 3 = 0 then ${table} end, 'case ' || i, 'otto', x.at, case when i % 10 > 0 then 'anna' end,
        case when i % 10 > 0 then x.at + interval '1 day' end, case when i % 10 > 0 then 'settled' end
      from ${SLICE_ROWS}`,
    ],
    [
      'extensions',
      some,
      `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by, created_at)
      select ${table}, ${id('extended')}::text, x.at + interval '30 days', 'asked', 'otto', x.at from ${SLICE_ROWS}`,
    ],
    [
      'dead letters',
      some,
      `insert into retention.dead_letter (policy, table_name, row_key, sql_state, state, next_attempt_at, created_at, updated_at)
      select ${names(policies)}, ${table}, ${id('letter')}::text, '23503', case when i % 100 = 5 then 'open' else 'resolved' end, x.at, x.at, x.at
      from ${SLICE_ROWS}`,
    ],
    [
      'erasures',
      some,
      `insert into retention.erasure (scope, subject, reason, requested_by, requested_at, state, finished_at, identifiers)
      select 'user', ${id('user')}::text, 'asked', 'otto', x.at, case when i % 200 = 9 then 'requested' else 'done' end,
        case when i % 200 = 9 then null else x.at + interval '1 day' end, jsonb_build_object('email', jsonb_build_array(repeat(md5('h' || i), 2)))
      from ${SLICE_ROWS}`,
    ],
    [
      'exports',
      some,
      `insert into retention.export (scope, subject, reason, requested_by, requested_at, state, expires_at)
      select 'user', ${id('user')}::text, 'asked', 'otto', x.at, 'withdrawn', x.at + interval '7 days' from ${SLICE_ROWS}`,
    ],
    [
      'incidents',
      some,
      `insert into retention.incident (cause, severity, message, opened_at, last_seen_at, times, recovered_at)
      select 'run.late ' || i, 'warning', 'late', x.at, x.at, 1, case when i % 400 = 7 then null else x.at end
      from ${SLICE_ROWS}`,
    ],
  ];
}

function told({ organizations, policies }: History): Part[] {
  const organization = `${id('organization')}::text`;
  return [
    [
      'messages to organizations',
      organizations,
      `insert into retention.notice (id, tenant, recipient, state, required, claimed_until, settled_at, sending, created_at)
      select ${id('notice')}, ${organization}, repeat(md5('r' || i), 2), 'delivered', true, x.at, x.at, false, x.at
      from ${SLICE_ROWS}`,
    ],
    [
      'parts of messages',
      organizations,
      `insert into retention.notice_part (notice, policy, tenant, threshold_days, keep_seconds, since, before, found, digest, goes_at, announced_at, delivered_at)
      select ${id('notice')}, ${names(policies)}, ${organization}, 7, 2592000, '-infinity', x.at, 1, repeat('0', 64), x.at + interval '7 days', x.at, x.at
      from ${SLICE_ROWS}`,
    ],
  ];
}

/** Each run into the chain, as its end would have done, and the acts of operators between them; then the index of receipts. */
async function seal(owner: Client, { runs, log }: History): Promise<void> {
  log?.('the audit chain');
  for (;;) {
    const { rowCount } = await owner.query(
      `select retention.seal_run(x.id) from (select id from retention.run where sealed_at is null and mode = 'delete' order by started_at limit $1) x`,
      [SLICE],
    );
    if (rowCount === 0) break;
  }
  await owner.query(
    `select count(*) from generate_series(1, $1::int) i cross join lateral retention.record('otto', 'hold.placed', ${id('act')}::text, 'case ' || i, '{}')`,
    [Math.round(runs / 10)],
  );
  log?.('the index of receipts');
  for (;;) {
    const { rows } = await owner.query<{ n: number }>('select retention.index_receipts(5000) as n');
    if (rows[0]?.n === 0) return;
  }
}
