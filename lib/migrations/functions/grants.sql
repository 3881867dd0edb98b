-- Who may call what, function by function. Applied last: a function that is not named here is nobody's to call
-- but the owner's. A trigger's function needs no right to fire, only to make a trigger with.

revoke execute on all functions in schema retention from public, lapse_app;
grant execute on function
  retention.enter_batch, retention.confirm_batch, retention.try_each,
  retention.begin_run, retention.close_run, retention.end_run, retention.run_reason, retention.clock, retention.local_time,
  retention.keys_of, retention.receipt_hash, retention.run_digest,
  retention.audit_field, retention.audit_hash, retention.seal_run,
  retention.blob_url_decoded, retention.blob_path, retention.blob_url_path, retention.lock_files,
  retention.effective_periods, retention.declare_version, retention.admission,
  retention.partitions, retention.drop_partition,
  retention.run_bounds,
  retention.as_printed
to lapse_app;

grant execute on function
  retention.refunds_stopped, retention.refund_over, retention.claim_refunds, retention.confirm_refund, retention.lease_refunds,
  retention.may_refund, retention.settle_refunds, retention.take_step, retention.resolve_order, retention.extend_order
to lapse_app;

select retention.take_rights();
