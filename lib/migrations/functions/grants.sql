-- Who may call what, function by function, and read what, table by table. Applied last: a function that is not named here
-- may be called by the owner only. A trigger's function needs no right to fire, only to make a trigger with.
-- lapse_app runs policies and jobs, lapse_operator makes what a person decides, lapse_reader looks. None is a member of another.

revoke execute on all functions in schema retention from public, lapse_app, lapse_operator, lapse_reader;
revoke all on all tables in schema retention from lapse_operator, lapse_reader;
-- Numbers are drawn by the rows themselves: nothing else moves them.
revoke all on all sequences in schema retention from public, lapse_app, lapse_operator, lapse_reader;
grant usage on schema retention to lapse_operator, lapse_reader;

-- What a run and a job do.
grant execute on function
  retention.enter_batch, retention.confirm_batch, retention.lock_tree, retention.take_apart, retention.lock_below, retention.from_below, retention.leave_tree, retention.refuse_more, retention.try_each, retention.set_aside, retention.entered,
  retention.begin_run, retention.end_run, retention.record_preview, retention.run_reason,
  retention.write_receipt, retention.seal_run,
  retention.open_archive, retention.name_archive, retention.refuse_unlike,
  retention.expire_archives, retention.abandoned_archives, retention.discard_archive,
  retention.entomb, retention.archives_with_dead, retention.replace_archive, retention.holds_archive,
  retention.effective_periods, retention.declare_version, retention.observe_labels, retention.admission,
  retention.partitions, retention.counts_of, retention.answers_of, retention.on_leaf, retention.drop_partition,
  retention.trim_records, retention.trimmable_head, retention.trim_receipts, retention.index_receipts,
  retention.as_printed, retention.all_printed, retention.explained, retention.planned_walk, retention.operators_bound,
  retention.claim_approval, retention.void_approval,
  retention.begin_erasure, retention.begin_erasure_step, retention.note_erasure_check, retention.queue_erasure_files, retention.record_erasure_steps, retention.finish_erasure, retention.note_erasure_clock,
  retention.note_retained_end,
  retention.prove_erasure, retention.note_ledger, retention.begin_replay, retention.adopt_erasures, retention.note_replay_walked,
  retention.end_replay, retention.write_export, retention.fetch_export, retention.end_export,
  retention.blob_refusal, retention.lock_files, retention.is_held_file, retention.queue_orphans,
  retention.use_link, retention.claim_notice, retention.settle_notice, retention.give_up_notices,
  retention.extend_by_notice, retention.stop_notices,
  retention.lease_refunds, retention.may_refund, retention.settle_refunds, retention.take_step
to lapse_app;

-- What a person decides, each with its entry of the chain and, once operators are bound, with the person's own token.
grant execute on function
  retention.place_hold, retention.release_hold, retention.review_hold,
  retention.set_extension, retention.set_extensions, retention.end_extension,
  retention.set_override, retention.remove_override, retention.note_restoration, retention.remove_permanent,
  retention.pause_policy, retention.resume_policy, retention.stop_all, retention.resume_all,
  retention.release_lease, retention.note_breaker_closed,
  retention.give_approval, retention.withdraw_approval, retention.raise_rollout, retention.note_run_asked,
  retention.retry_letter, retention.retry_letters, retention.discard_letter, retention.assign_letter,
  retention.request_erasure, retention.confirm_erasure, retention.withdraw_erasure,
  retention.request_export, retention.link_export, retention.withdraw_export,
  retention.request_restore, retention.confirm_restore, retention.withdraw_restore,
  retention.enter_restore, retention.restore_rows, retention.note_restored, retention.finish_restore,
  retention.confirm_refund, retention.resolve_order, retention.extend_order
to lapse_operator;

-- The watch claims refunds under its own name, a person under theirs: the function itself asks who of the two logs in.
grant execute on function
  retention.claim_refunds, retention.refunds_stopped, retention.clock
to lapse_app, lapse_operator;

-- What reading takes: names, hashes and formats. They change nothing.
grant execute on function
  retention.keys_of, retention.uuids_of, retention.names_uuid, retention.receipt_hash, retention.audit_field, retention.chain_rows, retention.run_bounds,
  retention.relation_named, retention.label_of, retention.root_of, retention.parts_of, retention.names_of, retention.local_time, retention.iso_instant, retention.marks_of, retention.folded
to lapse_app, lapse_reader;
grant execute on function retention.clock to lapse_reader;

-- Indexes of business tables are made with these: every role that writes a row there evaluates them. Text in, text out.
grant execute on function
  retention.blob_path, retention.is_plain_path, retention.blob_path_of, retention.blob_unescaped
to public;

-- What a console, a report, a scrape and an auditor look at. Not: who may act and how a batch proves itself; names of files
-- and the marks of a refund, which open things elsewhere.
grant select on
  retention.alert, retention.approval, retention.archive, retention.archive_subject, retention.audit_entry, retention.audit_event, retention.backlog, retention.backlog_day,
  retention.blob_scan, retention.dead_letter, retention.deleted_total, retention.drift, retention.erasure, retention.erasure_step,
  retention.evidence_anchor, retention.export, retention.extension, retention.forecast, retention.hold, retention.incident, retention.kill_switch,
  retention.last_run, retention.link_use, retention.notice, retention.notice_part, retention.notice_stop, retention.order_step, retention.partition_grant, retention.past_override, retention.period_override,
  retention.permanent_table, retention.policy_state, retention.policy_version, retention.quality, retention.receipt, retention.receipt_index,
  retention.replay, retention.restoration, retention.restore, retention.restore_part, retention.run, retention.run_total,
  retention.tenant_label, retention.tenant_total,
  retention.watch_turn, retention.watched
to lapse_reader;
grant select (id, run, seq, policy, table_name, row_key, bytes, state, attempts, next_attempt_at, error_class, created_at, updated_at,
  settled_as, assigned_to, resolution, owner_table, owner_key) on retention.outbox to lapse_reader;
grant select (id, kind, table_name, row_key, bytes, uploaded_at, first_scan, last_scan, scans, first_seen_at, last_seen_at, state, created_at,
  updated_at) on retention.blob_finding to lapse_reader;
grant select (id, order_key, amount, currency, requested_by, reason, state, refused_because, refund_id, attempts, next_attempt_at,
  error_class, claimed_at, settled_at, created_at, updated_at, confirmed_by) on retention.refund_intent to lapse_reader;

-- What the statements of a person's decision read; everything else is behind their functions.
grant select on retention.refund_intent, retention.order_step, retention.kill_switch, retention.policy_state to lapse_operator;

-- Written by these functions only: what may not be deleted, what stops, what was approved, what ran, what went.
revoke insert, update, delete on
  retention.hold, retention.extension, retention.period_override, retention.past_override, retention.kill_switch,
  retention.approval, retention.restoration, retention.run, retention.policy_state, retention.policy_version,
  retention.tenant_label, retention.audit_event, retention.audit_entry,
  retention.dead_letter, retention.receipt
from lapse_app;

-- A role that could write it could act as anyone.
revoke all on retention.operator from public, lapse_app;

-- Which file an entry names is decided once; a drain settles only how it ended.
revoke insert, update, delete on retention.outbox from lapse_app;
grant insert (run, seq, policy, table_name, row_key, url, bytes, organizations, users, owner_table, owner_key, prefix, suffixed),
  update (state, settled_as, error_class, next_attempt_at, claimed_until, attempts) on retention.outbox to lapse_app;

select retention.take_rights();
