-- The database explains itself: the comment of each table and column ends in what kind of data it holds, and each index says
-- what it is for. docs/DATA-MODEL.md is made from that, and says how the words in brackets are read.
--
--   table   [<class>; kept: <how long>]            column   [<class>; personal: <what>; handling: <how>]
--
-- A column without brackets of its own has the class of its table; one that holds text always has its own.

-- Up Migration

do $$
declare
  t record;
  c record;
  i record;
begin
  create temporary table meant (token text primary key, brackets text not null) on commit drop;
  insert into meant values
    ('operator', 'confidential; personal: name of an operator; handling: evidence'),
    ('worker', 'confidential; personal: name of an operator; handling: period'),
    ('words', 'confidential; personal: words of an operator; handling: free text'),
    ('subject', 'confidential; personal: id of a person or organization; handling: evidence'),
    ('tenant', 'confidential; personal: id of a person or organization; handling: pseudonym'),
    ('key', 'confidential; personal: key of a row; handling: pseudonym'),
    ('file', 'confidential; personal: name of a file; handling: blanked'),
    ('path', 'confidential; personal: name of a file; handling: period'),
    ('public', 'public'), ('internal', 'internal'), ('restricted', 'restricted');
  create temporary table dictionary (relation text primary key, class text not null, columns text not null) on commit drop;
  -- Of a column its name, or `name=` what it holds.
  insert into dictionary values
    ('alert', 'internal; kept: alerts', 'channel moment state error'),
    ('applied_functions', 'internal; kept: current', 'sha256'),
    ('approval', 'internal; kept: forever', 'policy version digest facts approved_by=operator reason=words void_reason=words'),
    ('audit_entry', 'confidential; kept: forever; append-only',
      'actor=operator action=internal subject=key reason=words detail=subject prev=public hash=public'),
    ('audit_event', 'internal; kept: forever; append-only', 'event by_tier'),
    ('backlog', 'internal; kept: current', 'policy plan'),
    ('backlog_day', 'internal; kept: forever', 'policy'),
    ('batch_secret', 'restricted; kept: current', 'secret'),
    ('blob_finding', 'confidential; kept: findings', 'kind=internal path=path table_name=internal row_key=key state=internal'),
    ('blob_scan', 'internal; kept: scans', 'mode'),
    ('dead_letter', 'confidential; kept: letters', 'policy=internal table_name=internal row_key=key sql_state=internal
      constraint_name=internal state=internal assigned_to=worker resolution=words'),
    ('deleted_total', 'internal; kept: current', 'policy plan'),
    ('erasure', 'confidential; kept: forever', 'scope=internal subject=subject reason=words requested_by=operator state=internal
      confirmed_by=operator withdrawn_by=operator'),
    ('erasure_step', 'internal; kept: forever', 'policy outcome reason kept runs'),
    ('evidence_anchor', 'internal; kept: forever; append-only', 'hash=public head=public signature=public public_key=public'),
    ('extension', 'confidential; kept: forever', 'table_name=internal row_key=key reason=words extended_by=operator'),
    ('forecast', 'internal; kept: current', 'policy verdict advice'),
    ('hold', 'confidential; kept: forever', 'scope=internal subject=subject table_name=internal reason=words placed_by=operator
      released_by=operator release_reason=words'),
    ('incident', 'internal; kept: incidents', 'cause severity message'),
    ('kill_switch', 'internal; kept: current', 'stopped_by=worker reason=words'),
    ('last_run', 'internal; kept: current', 'policy outcome reason sla_status'),
    ('operator', 'restricted; kept: in force', 'name=worker token_sha256=restricted'),
    ('order_step', 'confidential; kept: order_steps; append-only', 'order_key=key step=internal'),
    ('outbox', 'confidential; kept: file_names, outbox', 'policy=internal table_name=internal row_key=key url=file etag=internal
      state=internal error_class=internal settled_as=internal assigned_to=worker resolution=words path=file organizations=tenant
      users=tenant owner_table=internal owner_key=key prefix=internal'),
    ('partition_grant', 'internal; kept: in force', 'table_name key_columns organization_column user_column file_columns
      granted_by=worker policy zone'),
    ('past_override', 'confidential; kept: past_periods; append-only', 'policy=internal tenant=tenant set_by=worker'),
    ('period_override', 'confidential; kept: in force', 'policy=internal tenant=tenant reason=words set_by=worker'),
    ('permanent_table', 'internal; kept: in force', 'table_name key_columns'),
    ('policy_state', 'internal; kept: current', 'policy version paused_by=worker paused_reason=words'),
    ('policy_version', 'internal; kept: forever', 'policy version reach periods declared_by=operator'),
    ('quality', 'confidential; kept: quality', 'policy=internal measure=internal subject=internal status=internal keys=key detail=internal'),
    ('receipt', 'confidential; kept: receipts; append-only', 'policy=internal policy_version=internal action=internal actor=operator
      reason=internal table_name=internal keys=key dependants=key by_rule=internal kept=internal cursor_after=key hash=internal
      uuid_keys=key partition=internal'),
    ('refund_intent', 'confidential; kept: forever', 'order_key=key payment=key currency=internal requested_by=operator reason=words
      state=internal refused_because=internal refund_id=key error_class=internal confirmed_by=operator confirmation=internal'),
    ('restoration', 'confidential; kept: forever; append-only', 'policy=internal table_name=internal row_key=key reason=words
      restored_by=operator'),
    ('run', 'internal; kept: dry_runs, idle_runs, forever', 'policy mode trigger actor=operator correlation_id policy_version
      outcome reason by_rule kept preview=key sla_status'),
    ('run_total', 'internal; kept: current', 'policy mode outcome'),
    ('taken_right', 'internal; kept: in force; append-only', 'what'),
    ('tenant_label', 'confidential; kept: past_labels', 'policy=internal tenant=tenant label=internal'),
    ('tenant_total', 'confidential; kept: tenant_totals', 'tenant=tenant label=internal'),
    ('unconfirmed_deletion', 'internal; kept: transaction', ''),
    ('watch_turn', 'internal; kept: current', ''),
    ('watched', 'internal; kept: current', 'name schedule outcome reason sla_status status');
  for t in select d.relation, d.class, d.columns, obj_description(to_regclass('retention.' || d.relation)) as said from dictionary d loop
    execute format('comment on table retention.%I is %L', t.relation, t.said || ' [' || t.class || ']');
    for c in
      select split_part(w.word, '=', 1) as name,
        (select m.brackets from meant m where m.token = coalesce(nullif(split_part(w.word, '=', 2), ''), split_part(t.class, ';', 1))) as brackets
      from regexp_split_to_table(t.columns, '\s+') w(word) where w.word <> ''
    loop
      execute format('comment on column retention.%I.%I is %L', t.relation, c.name, (
        select col_description(a.attrelid, a.attnum) || ' [' || c.brackets || ']' from pg_attribute a
        where a.attrelid = to_regclass('retention.' || t.relation) and a.attname = c.name));
    end loop;
  end loop;

  create temporary table purpose (index_name text primary key, what_for text not null) on commit drop;
  insert into purpose values
    ('alert_due', 'The next alerts to send, those that have waited longest first.'),
    ('alert_incident_channel_moment_nth_key', 'Each moment of an incident is told once on each channel; also the foreign key to the incident.'),
    ('approval_digest', 'One dry run can be approved once.'),
    ('approval_open', 'The approval a run may begin to use.'),
    ('approval_preview', 'Foreign key to the dry run; also asked before old dry runs are taken away.'),
    ('approval_used_by', 'Foreign key to the run that used it.'),
    ('audit_entry_at', 'The entries of a period, for reports.'),
    ('audit_entry_hash_key', 'No two entries have one hash: the chain cannot be a loop.'),
    ('audit_entry_prev_key', 'No two entries follow the same one: the chain cannot fork.'),
    ('audit_entry_run', 'A run is sealed once.'),
    ('audit_entry_subject', 'All entries about one hold, approval, request or run, in their order.'),
    ('audit_event_run_key', 'One event a run; also the foreign key to the run.'),
    ('blob_finding_once', 'A finding is open once, however many scans see it.'),
    ('blob_finding_ripe', 'The orphans seen longest ago, which may be handed over for deletion.'),
    ('dead_letter_open', 'One open letter a row.'),
    ('dead_letter_open_created_at', 'The oldest open letter, for the watch and the metrics.'),
    ('dead_letter_policy', 'The letters of a policy that are due to be tried again.'),
    ('dead_letter_row', 'Whether a row was set aside, asked by each batch.'),
    ('erasure_due', 'The next request to carry out: the one that has waited longest.'),
    ('erasure_open', 'One request under way for each subject: asking twice is asking once.'),
    ('extension_table_name_row_key_key', 'One extension a row; asked by each batch for the rows it looks at.'),
    ('hold_in_force', 'Whether a subject is held, asked by each batch for the rows it looks at. By hash: only equality is asked.'),
    ('incident_open', 'One open incident a cause.'),
    ('incident_opened_at', 'The latest incidents.'),
    ('last_run_run', 'Foreign key to the run; also asked before old runs are taken away.'),
    ('order_step_taken_at', 'The oldest steps, which are taken away after their period.'),
    ('outbox_claimed', 'Entries a drain is working on: a hold or a stop waits for them.'),
    ('outbox_dead', 'Entries that need a person.'),
    ('outbox_due', 'The next entries to claim.'),
    ('outbox_held', 'Entries that a hold keeps.'),
    ('outbox_named', 'Settled entries that still have the name of their file.'),
    ('outbox_path', 'All entries of one file: it is claimed and settled as one.'),
    ('outbox_run', 'Foreign key to the run; the entries of one batch.'),
    ('outbox_waiting', 'How many entries wait and since when; runs are held back above a bound.'),
    ('past_override_tenant', 'What an organization had within the cooling-off.'),
    ('policy_state_lock_id_key', 'No two policies share an advisory lock.'),
    ('policy_version_current', 'One version of a policy is in force.'),
    ('quality_day', 'Measurements that are old enough to be forgotten.'),
    ('receipt_partition', 'In which receipt a dropped partition is named.'),
    ('receipt_policy_committed_at', 'The receipts of a policy within a period, for lineage and reports.'),
    ('receipt_run_seq_key', 'One receipt a batch: a batch that is sent again is recognized. Also the foreign key to the run.'),
    ('refund_intent_asking', 'Refunds that are being asked for: a stop waits for them.'),
    ('refund_intent_claimed_at', 'What was paid back within 24 hours, for the caps.'),
    ('refund_intent_due', 'The next refunds to ask for.'),
    ('refund_intent_manual', 'Refunds that wait for a person.'),
    ('refund_intent_order_key_key', 'An order can have one refund.'),
    ('refund_intent_refund_id_key', 'A refund of the provider belongs to one order.'),
    ('restoration_row', 'Whether and when a row was restored.'),
    ('run_approval', 'Foreign key to the approval; the runs that used one.'),
    ('run_dry_run_finished_at', 'The oldest dry runs, which are taken away after their period.'),
    ('run_policy_started_at', 'The latest runs of a policy, and those of a period.'),
    ('run_unfinished', 'The run of a policy that has not ended.'),
    ('tenant_label_current', 'One label an organization and policy at a time.');
  for i in select p.index_name, p.what_for from purpose p loop
    execute format('comment on index retention.%I is %L', i.index_name, i.what_for);
  end loop;
end $$;

-- Down Migration

do $$
declare
  d record;
begin
  for d in
    select c.relname, a.attname, regexp_replace(s.description, ' \[[^][]*\]$', '') as said
    from pg_description s join pg_class c on c.oid = s.objoid and s.classoid = 'pg_class'::regclass
    left join pg_attribute a on a.attrelid = c.oid and a.attnum = s.objsubid and s.objsubid > 0
    where c.relnamespace = 'retention'::regnamespace and c.relkind in ('r', 'p') and s.description ~ ' \[[^][]*\]$'
  loop
    if d.attname is null then
      execute format('comment on table retention.%I is %L', d.relname, d.said);
    else
      execute format('comment on column retention.%I.%I is %L', d.relname, d.attname, d.said);
    end if;
  end loop;
  for d in select c.relname from pg_class c join pg_index x on x.indexrelid = c.oid
    where c.relnamespace = 'retention'::regnamespace and obj_description(c.oid, 'pg_class') is not null
  loop
    execute format('comment on index retention.%I is null', d.relname);
  end loop;
end $$;
