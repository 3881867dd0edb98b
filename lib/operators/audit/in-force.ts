/**
 * What is in force against the entries that say so: a hold, a stop, a pause, an extension, an override or an approval
 * that was written past the functions of the schema has no entry, or another one. And what keeps anyone from
 * doing that: receipts only of runs that deleted, guards in place, rights as they were granted. Each question is one
 * statement, whose rows are the problems; no edited value makes one fail.
 */
import type { Database } from '../../platform/database';
import { query } from '../../platform/query';
import { askOne } from '../../platform/session';
import { constant, list, literal, type Sql, sql } from '../../platform/sql';
import { erasures } from './erasures';
import { type Findings, MOST_PROBLEMS, type Question, READING } from './findings';
import { guards } from './guards';

/** The newest entry about a subject among these actions. */
const newest = (subject: Sql, ...actions: string[]) => sql`left join lateral (
    select n, actor, action, detail from retention.audit_entry
    where subject = ${subject} and action in (${list(...actions.map(literal))}) order by n desc limit 1
  )`;

const runs: readonly Question[] = [
  {
    // Sealing is atomic with the end of a run, so its entry was removed.
    kind: 'not sealed',
    sql: sql`select distinct r.id::text as run from retention.run r join retention.receipt c on c.run = r.id
      where r.finished_at is not null and r.mode = 'delete' and not exists (
        select 1 from retention.audit_entry e where e.action = 'run.sealed' and e.subject = r.id::text)`,
    message: (r) => `run ${r.run} deleted and has no entry in the chain`,
  },
  {
    // Only the run that may delete now is open, or one whose lease was released, until the next run closes it. No batch
    // commits a day after its run began.
    kind: 'not sealed',
    sql: sql`select c.run::text, c.receipts, case when r.id is null then 'is unknown' when r.mode <> 'delete' then 'was a dry run'
        when r.finished_at is null then 'is neither ended nor the current one' else 'had long ended when the last was written' end as why
      from (select run, count(*) as receipts, max(committed_at) as newest from retention.receipt group by run) c
      left join retention.run r on r.id = c.run left join retention.policy_state s on s.policy = r.policy
      where r.id is null or r.mode <> 'delete' or c.newest > r.created_at + interval '1 day'
        or (r.finished_at is null and (s.run_now is distinct from r.id or (r.created_at < clock_timestamp() - interval '40 days' and not s.paused))
          and not exists (select 1 from retention.audit_entry e
            where e.action = 'lease.released' and e.subject = r.policy and e.detail ->> 'run' = r.id::text))`,
    message: (r) => `there are receipts (${r.receipts}) of run ${r.run}, which ${r.why}`,
  },
  {
    kind: 'report falsified',
    sql: sql`select id::text as run from retention.run r where mode = 'delete' and finished_at is not null
        and (deleted <> 0 or dependants_deleted <> 0 or files_queued <> 0 or bytes_freed <> 0 or batches <> 0 or by_rule <> '{}')
        and not exists (select 1 from retention.receipt c where c.run = r.id)
        and not exists (select 1 from retention.audit_entry e where e.action = 'run.sealed' and e.subject = r.id::text
          and e.n <= (select max(n) from retention.evidence_anchor))`,
    message: (r) => `the record of run ${r.run} counts deletions, and it has no receipt`,
  },
];

const holds: readonly Question[] = [
  {
    kind: 'without an entry',
    sql: sql`select h.id::text, p.n::text as placed, r.n::text as released, h.released_at is not null as over,
        p.actor is distinct from h.placed_by or p.detail ->> 'scope' is distinct from h.scope
          or p.detail ->> 'subject' is distinct from h.subject or p.detail ->> 'table' is distinct from h.table_name as changed
      from retention.hold h ${newest(sql`h.id::text`, 'hold.placed')} p on true ${newest(sql`h.id::text`, 'hold.released')} r on true
      where p.n is null or p.actor is distinct from h.placed_by or p.detail ->> 'scope' is distinct from h.scope
        or p.detail ->> 'subject' is distinct from h.subject or p.detail ->> 'table' is distinct from h.table_name
        or r.actor is distinct from h.released_by`,
    message: (h) => {
      if (h.placed === null) return `hold ${h.id} has no entry that says who placed it`;
      if (h.changed) return `hold ${h.id} is not the one that entry ${h.placed} placed: it was changed`;
      if (h.released === null) return `hold ${h.id} was released, and no entry says by whom`;
      return `hold ${h.id} is ${h.over ? 'released by another' : 'in force'}; entry ${h.released} released it`;
    },
  },
  {
    kind: 'without an entry',
    sql: sql`select e.n::text, e.subject from retention.audit_entry e
      where e.action = 'hold.placed' and not exists (select 1 from retention.hold h where h.id::text = e.subject)`,
    message: (e) => `hold ${e.subject}, placed by entry ${e.n}, is gone`,
  },
];

const stops: readonly Question[] = [
  {
    kind: 'without an entry',
    sql: sql`select k.stopped, e.n::text from (values (1)) one(x) left join retention.kill_switch k on true
      ${newest(sql`'all'`, 'all.stopped', 'all.resumed')} e on true
      where k.stopped is distinct from coalesce(e.action = 'all.stopped', false)
        or (k.stopped and k.stopped_by is distinct from e.actor)`,
    message: (k) =>
      `everything is ${k.stopped === false ? 'not stopped' : 'stopped'}; ${k.n === null ? 'no entry says so' : `entry ${k.n} says otherwise`}`,
  },
  {
    kind: 'without an entry',
    sql: sql`select s.policy, s.paused, e.n::text from retention.policy_state s
      ${newest(sql`s.policy`, 'policy.paused', 'policy.resumed')} e on true
      where s.paused <> coalesce(e.action = 'policy.paused', false) or (s.paused and s.paused_by is distinct from e.actor)`,
    message: (s) =>
      `policy "${s.policy}" is ${s.paused ? 'paused' : 'not paused'}; ${s.n === null ? 'no entry says so' : `entry ${s.n} says otherwise`}`,
  },
];

/** As the entries print an instant; the session is in UTC. */
const EXTENSION = ['extension.set', 'extension.ended', 'row.restored'];
const kept: readonly Question[] = [
  {
    kind: 'without an entry',
    sql: sql`select x.table_name || ' ' || x.row_key as row, e.n::text from retention.extension x
      ${newest(sql`x.table_name || ' ' || x.row_key`, ...EXTENSION)} e on true
      where case when e.n is not null then e.detail ->> 'keep_until' is distinct from to_jsonb(x.keep_until) #>> '{}'
        -- Restorations had no entry of their own at first.
        else not exists (select 1 from retention.restoration r
          where r.table_name = x.table_name and r.row_key = x.row_key and r.keep_until = x.keep_until) end`,
    message: (x) =>
      `the extension of ${x.row} ${x.n === null ? 'has no entry' : `is not what entry ${x.n} says`}`,
  },
  {
    kind: 'without an entry',
    sql: sql`select e.n::text, e.subject from (
        select distinct on (subject) subject, n, detail from retention.audit_entry
        where action in (${list(...EXTENSION.map(literal))}) order by subject, n desc
      ) e
      where (e.detail ->> 'keep_until' = 'infinity' or e.detail ->> 'keep_until' > to_jsonb(clock_timestamp()) #>> '{}' collate "C")
        and not exists (select 1 from retention.extension x where x.table_name || ' ' || x.row_key = e.subject)`,
    message: (e) => `the extension of ${e.subject}, set by entry ${e.n}, is gone`,
  },
  {
    kind: 'without an entry',
    sql: sql`select o.policy || ' ' || o.tenant as whose, e.n::text from retention.period_override o
      ${newest(sql`o.policy || ' ' || o.tenant`, 'override.set', 'override.removed')} e on true
      where e.action is distinct from 'override.set' or e.actor is distinct from o.set_by
        or e.detail ->> 'keep_seconds' is distinct from o.keep_seconds::text`,
    message: (o) =>
      `the override ${o.whose} ${o.n === null ? 'has no entry' : `is not what entry ${o.n} says`}`,
  },
  {
    kind: 'without an entry',
    sql: sql`select e.n::text, e.subject from (
        select distinct on (subject) subject, n, action from retention.audit_entry
        where action in ('override.set', 'override.removed') order by subject, n desc
      ) e
      where e.action = 'override.set' and not exists (
        select 1 from retention.period_override o where o.policy || ' ' || o.tenant = e.subject)`,
    message: (e) => `the override ${e.subject}, set by entry ${e.n}, is gone`,
  },
  {
    kind: 'without an entry',
    sql: sql`select a.id::text, e.n::text from retention.approval a ${newest(sql`a.id::text`, 'approval.given')} e on true
      where e.actor is distinct from a.approved_by or e.detail ->> 'digest' is distinct from a.digest
        or e.detail ->> 'policy' is distinct from a.policy or e.detail ->> 'version' is distinct from a.version
        or e.detail ->> 'expired' is distinct from a.expired::text`,
    message: (a) => `approval ${a.id} ${a.n === null ? 'has no entry' : `is not what entry ${a.n} says`}`,
  },
];

/** False when the time ran out. */
export async function compareWithEntries(
  database: Database,
  findings: Findings,
  inTime: () => boolean,
): Promise<boolean> {
  for (const question of [...runs, ...holds, ...stops, ...kept, ...erasures, ...guards]) {
    if (!inTime()) return false;
    const problems = query(sql`${question.sql} limit ${constant(MOST_PROBLEMS)}`, (rows) =>
      rows.map(question.message),
    );
    for (const message of await askOne(database, problems, READING)) {
      findings.say(null, question.kind, message);
    }
  }
  return true;
}
