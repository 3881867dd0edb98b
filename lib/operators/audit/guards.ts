/**
 * Rows deleted without a receipt leave no trace: what can be verified is that no one had the means.
 * Named are tables that a login of the app may delete from without the guard, triggers of Lapse that are off or
 * gone, and rights that its role has been given since.
 */
import { list, literal, sql } from '../../platform/sql';
import type { Question } from './findings';

/** Logins and groups with the rights of one of Lapse's roles; a superuser is beyond every guard. */
const MEMBERS = sql`select m.oid, m.rolname from pg_roles m where not m.rolsuper and exists (
    select from pg_roles r where r.rolname in ('lapse_app', 'lapse_operator', 'lapse_reader') and pg_has_role(m.oid, r.oid, 'USAGE'))`;

/** Without these the database would not refuse what it promises to refuse. */
const TRIGGERS = [
  'audit_entry.lapse_chain',
  'audit_entry.lapse_append_only',
  'receipt.lapse_hash',
  'receipt.lapse_archive',
  'outbox.lapse_admit',
  'unconfirmed_deletion.lapse_receipted',
  'hold.lapse_gate',
  'hold.lapse_files',
  'hold.lapse_root',
  'extension.lapse_gate',
  'extension.lapse_root',
  'dead_letter.lapse_root',
  'period_override.lapse_gate',
  'period_override.lapse_remember',
  'kill_switch.lapse_gate',
  'kill_switch.lapse_files',
  'kill_switch.lapse_refunds',
  'policy_state.lapse_gate',
  'policy_state.lapse_files',
  'policy_state.lapse_refunds',
  'notice_part.lapse_gate',
  'run.lapse_ended',
];

const WRITTEN_BY_FUNCTIONS = [
  'receipt',
  'archive',
  'archive_subject',
  'restore',
  'restore_part',
  'audit_entry',
  'hold',
  'extension',
  'period_override',
  'past_override',
  'kill_switch',
  'policy_state',
  'policy_version',
  'approval',
  'run',
  'erasure',
  'erasure_step',
  'operator',
];

const each = (names: readonly string[]) => list(...names.map((n) => sql`(${literal(n)})`));

export const guards: readonly Question[] = [
  {
    kind: 'unguarded',
    sql: sql`select n.nspname || '.' || c.relname as name, string_agg(distinct m.rolname, ', ') as roles
      from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join (${MEMBERS}) m
      where c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname not in ('retention', 'pg_catalog', 'information_schema')
        and has_table_privilege(m.oid, c.oid, 'DELETE') and not pg_has_role(m.oid, c.relowner, 'USAGE')
        and not exists (select 1 from pg_trigger t where t.tgrelid = c.oid and t.tgenabled in ('O', 'A')
          and t.tgfoid = to_regprocedure('retention.guard_deletion()'))
      group by 1`,
    message: (t) =>
      `rows of ${t.name} can be deleted without a receipt by ${t.roles}: as its owner, select retention.protect('${t.name}'), or revoke the right`,
  },
  {
    kind: 'unguarded',
    sql: sql`select n.nspname || '.' || c.relname as name, string_agg(distinct m.rolname, ', ') as roles
      from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join (${MEMBERS}) m
      where c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema')
        and has_table_privilege(m.oid, c.oid, 'TRUNCATE') and not pg_has_role(m.oid, c.relowner, 'USAGE')
      group by 1`,
    message: (t) => `${t.name} can be emptied without a receipt by ${t.roles}: revoke truncate`,
  },
  {
    kind: 'unguarded',
    sql: sql`select t.tgrelid::regclass::text || '.' || t.tgname as name from pg_trigger t
        where t.tgname like 'lapse\\_%' and not t.tgisinternal and t.tgenabled not in ('O', 'A')
      union all
      select 'retention.' || x.name from (values ${each(TRIGGERS)}) x(name) where not exists (
        select 1 from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where c.relnamespace = to_regnamespace('retention') and c.relname || '.' || t.tgname = x.name)`,
    message: (t) => `the trigger ${t.name} is switched off or gone`,
  },
  {
    kind: 'unguarded',
    sql: sql`select x.name, p.right, string_agg(distinct m.rolname, ', ') as roles
      from (values ${each(WRITTEN_BY_FUNCTIONS)}) x(name) cross join (values ('INSERT'), ('UPDATE'), ('DELETE')) p("right")
      cross join (${MEMBERS}) m
      where (has_table_privilege(m.oid, 'retention.' || x.name, p.right)
          or (p.right <> 'DELETE' and has_any_column_privilege(m.oid, 'retention.' || x.name, p.right)))
        and not pg_has_role(m.oid, (select relowner from pg_class where oid = to_regclass('retention.' || x.name)), 'USAGE')
      group by 1, 2`,
    message: (t) =>
      `${t.roles} may ${String(t.right).toLowerCase()} retention.${t.name} without an entry: revoke it`,
  },
];
