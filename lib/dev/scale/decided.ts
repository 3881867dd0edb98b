/** What people decided in the years of a history: holds, extensions, letters, erasures, exports, archives, restores, refunds, messages. */
import { decisions, type History, id, type Part, policyIn, SLICE_ROWS, tableIn } from './part';

export const decided = (history: History): Part[] => [
  ...kept(history),
  ...rights(history),
  ...archives(history),
  ...broughtBack(history),
  ...orders(history),
  ...told(history),
];

function kept(history: History): Part[] {
  const { organizations, policies } = history;
  const some = decisions(history);
  const table = tableIn(history);
  const policy = policyIn(history);
  const organization = `${id('organization')}::text`;
  return [
    [
      'holds',
      some,
      `insert into retention.hold (scope, subject, table_name, reason, placed_by, placed_at, review_at, released_by, released_at, release_reason)
      select case when i % 3 = 0 then 'item' else 'organization' end, case when i % 3 = 0 then ${id('held')}::text
          else ${id('organization', `(1 + i % ${organizations})`)}::text || case when i > ${organizations} then i::text else '' end end,
        case when i % 3 = 0 then ${table} end, 'case ' || i, 'otto', x.at, x.at + interval '500 days', case when i % 10 > 0 then 'anna' end,
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
      select ${policy}, ${table}, ${id('letter')}::text, '23503', case when i % 100 = 5 then 'open' else 'resolved' end, x.at, x.at, x.at
      from ${SLICE_ROWS}`,
    ],
    [
      'incidents',
      some,
      `insert into retention.incident (cause, severity, message, opened_at, last_seen_at, times, recovered_at)
      select 'run.late ' || i, 'warning', 'late', x.at, x.at, 1, case when i % 400 = 7 then null else x.at end
      from ${SLICE_ROWS}`,
    ],
    ...policies.flatMap(({ name, label }): Part[] =>
      label === undefined
        ? []
        : [
            [
              `tiers of organizations of ${name}`,
              organizations,
              `insert into retention.tenant_label (policy, tenant, label, seen_at) select '${name}', ${organization}, '${label}', x.at from ${SLICE_ROWS}`,
            ],
            [
              `periods of single organizations of ${name}`,
              Math.ceil(organizations / 100),
              `insert into retention.period_override (policy, tenant, keep_seconds, reason, set_by, created_at)
        select '${name}', ${organization}, 86400 * 90, 'contract ' || i, 'otto', x.at from ${SLICE_ROWS}`,
            ],
          ],
    ),
  ];
}

function rights(history: History): Part[] {
  const some = decisions(history);
  const { policies } = history;
  return [
    [
      'erasures',
      some,
      `insert into retention.erasure (id, scope, subject, reason, requested_by, requested_at, due_at, state, finished_at, identifiers)
      select ${id('erasure')}, 'user', ${id('user')}::text, 'asked', 'otto', x.at, x.at + interval '30 days', case when i % 200 = 9 then 'requested' else 'done' end,
        case when i % 200 = 9 then null else x.at + interval '1 day' end, jsonb_build_object('email', jsonb_build_array(repeat(md5('h' || i), 2)))
      from ${SLICE_ROWS}`,
    ],
    [
      'erasures, policy by policy',
      some,
      `insert into retention.erasure_step (erasure, policy, outcome, deleted, table_name, created_at)
      select ${id('erasure')}, p, 'succeeded', 1, 'public.' || p, x.at from ${SLICE_ROWS} cross join unnest(array[${policies.map((p) => `'${p.name}'`)}]) p
      where i % 200 <> 9`,
    ],
    [
      'exports',
      some,
      `insert into retention.export (scope, subject, reason, requested_by, requested_at, state, expires_at)
      select 'user', ${id('user')}::text, 'asked', 'otto', x.at, 'withdrawn', x.at + interval '7 days' from ${SLICE_ROWS}`,
    ],
  ];
}

/** One batch in so many was archived before it deleted. */
const RUNS_AN_ARCHIVE = 10;
/** Whether run `i` has one, of its first batch. */
export const isArchived = `i % ${RUNS_AN_ARCHIVE} = 1`;

/** As the receipts of their batches left them. */
function archives(history: History): Part[] {
  const { runs, organizations } = history;
  const archive = id('archive');
  return [
    [
      'archives',
      runs,
      `insert into retention.archive (id, policy, policy_version, run, seq, table_name, prefix, state, manifest_sha256, rows, bytes, keys, paths,
        expires_at, created_at)
      select ${archive}, ${policyIn(history)}, 'v1', ${id('run')}, 1, ${tableIn(history)}, 'archives/' || ${archive} || '/', 'kept', repeat(md5('m' || i), 2), 4, 4000,
        array(select ${id('key', `i || '/1/' || k`)}::text from generate_series(1, 4) k), array['archives/' || ${archive} || '/rows.jsonl.gz'], x.at + interval '2 years', x.at
      from ${SLICE_ROWS} where ${isArchived}`,
    ],
    [
      'whose archives they are',
      runs,
      `insert into retention.archive_subject (archive, scope, subject, rows)
      select ${archive}, 'organization', ${id('organization', `(1 + i % ${organizations})`)}::text, 4 from ${SLICE_ROWS} where ${isArchived}`,
    ],
  ];
}

function broughtBack({ runs }: History): Part[] {
  const restores = Math.ceil(runs / 1_000);
  const archived = `(1 + ${RUNS_AN_ARCHIVE} * (i - 1))`;
  return [
    [
      'restores',
      restores,
      `insert into retention.restore (id, scope, subject, policy, reason, state, rows_found, keep_until, requested_by, requested_at, finished_at)
      select ${id('restore')}, 'run', ${id('run', archived)}::text, null, 'ticket ' || i, case when i = $4::int then 'requested' else 'done' end, 4,
        x.at + interval '30 days', 'otto', x.at, case when i = $4::int then null else x.at end from ${SLICE_ROWS}`,
    ],
    [
      'parts of restores',
      restores,
      `insert into retention.restore_part (restore, archive, counts)
      select ${id('restore')}, ${id('archive', archived)}, '{"restored": 4}' from ${SLICE_ROWS} where i < $4::int`,
    ],
  ];
}

/** Of orders that are gone since: what was refunded, and the steps that were taken before. */
function orders(history: History): Part[] {
  const some = decisions(history);
  return [
    [
      'refunds',
      some,
      `insert into retention.refund_intent (id, order_key, payment, amount, currency, requested_by, reason, state, refused_because, refund_id,
        next_attempt_at, claimed_at, settled_at)
      select ${id('refund')}, ${id('refunded-order')}::text, 'pi_' || i, 100 + i, 'eur', 'order-review-sla', 'breach',
        case when i % 1000 = 1 then 'manual' else 'succeeded' end, case when i % 1000 = 1 then 'provider' end, case when i % 1000 <> 1 then 're_' || i end,
        x.at, x.at, case when i % 1000 <> 1 then x.at end from ${SLICE_ROWS}`,
    ],
    [
      'steps of reviews',
      some,
      `insert into retention.order_step (order_key, due_at, step, taken_at)
      select ${id('refunded-order')}::text, x.at, s, x.at from ${SLICE_ROWS} cross join unnest(array['warning', 'breach']) s`,
    ],
  ];
}

function told(history: History): Part[] {
  const { organizations } = history;
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
      select ${id('notice')}, ${policyIn(history)}, ${organization}, 7, 2592000, '-infinity', x.at, 1, repeat('0', 64), x.at + interval '7 days', x.at, x.at
      from ${SLICE_ROWS}`,
    ],
  ];
}
