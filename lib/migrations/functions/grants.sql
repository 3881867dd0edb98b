-- Who may call what, function by function. Applied last: a function that is not named here is nobody's to call
-- but the owner's. A trigger's function needs no right to fire, only to make a trigger with.

revoke execute on all functions in schema retention from public, lapse_app;
grant execute on function
  retention.enter_batch, retention.confirm_batch, retention.try_each, retention.set_aside, retention.entered,
  retention.begin_run, retention.end_run, retention.record_preview, retention.run_reason, retention.clock, retention.local_time,
  retention.keys_of, retention.receipt_hash,
  retention.audit_field, retention.seal_run,
  retention.effective_periods, retention.declare_version, retention.observe_labels, retention.admission, retention.chain_rows,
  retention.partitions, retention.drop_partition,
  retention.relation_named, retention.label_of, retention.root_of, retention.names_of,
  retention.run_bounds, retention.trim_records, retention.trimmable_head, retention.trim_receipts,
  retention.as_printed, retention.explained, retention.remove_permanent, retention.operators_bound,
  retention.place_hold, retention.release_hold, retention.set_extension, retention.end_extension,
  retention.set_override, retention.remove_override, retention.note_restoration,
  retention.pause_policy, retention.resume_policy, retention.stop_all, retention.resume_all,
  retention.release_lease, retention.note_breaker_closed,
  retention.give_approval, retention.withdraw_approval, retention.claim_approval, retention.void_approval,
  retention.retry_letter, retention.discard_letter, retention.assign_letter,
  retention.request_erasure, retention.confirm_erasure, retention.withdraw_erasure,
  retention.begin_erasure, retention.record_erasure_steps, retention.finish_erasure
to lapse_app;
grant execute on function
  retention.blob_refusal, retention.lock_files, retention.is_held_file, retention.queue_orphans, retention.retry_letters
to lapse_app;
-- Indexes of business tables are made with these: whoever writes a row there evaluates them. Text in, text out.
grant execute on function
  retention.blob_path, retention.is_plain_path, retention.blob_path_of, retention.blob_unescaped
to public;

grant execute on function
  retention.refunds_stopped, retention.refund_over, retention.claim_refunds, retention.confirm_refund, retention.lease_refunds,
  retention.may_refund, retention.settle_refunds, retention.take_step, retention.resolve_order, retention.extend_order
to lapse_app;

-- Written by these functions only: what may not be deleted, what stops, what was approved, what ran.
revoke insert, update, delete on
  retention.hold, retention.extension, retention.period_override, retention.past_override, retention.kill_switch,
  retention.approval, retention.restoration, retention.run, retention.policy_state, retention.policy_version,
  retention.tenant_label, retention.audit_event, retention.audit_entry,
  retention.dead_letter
from lapse_app;

-- Whoever could write it could act as anybody.
revoke all on retention.operator from public, lapse_app;

-- Which file an entry names is decided once; a drain settles only how it ended.
revoke insert, update, delete on retention.outbox from lapse_app;
grant insert (run, seq, policy, table_name, row_key, url, bytes, organizations, users, owner_table, owner_key, prefix, suffixed),
  update (state, settled_as, error_class, next_attempt_at, claimed_until, attempts) on retention.outbox to lapse_app;

select retention.take_rights();
