/**
 * Who may call each function of schema retention, and do what with each of its tables: a decision for every one there is.
 * A new one without a line here fails test/roles/each.test.ts; so does a right that was granted past this list.
 */

/** `service`: the scheduled code. `person`: what somebody decides. A trigger's function is nobody's to call. */
export const FUNCTIONS: Readonly<Record<string, readonly string[]>> = {
  app: [
    ...['begin_run', 'end_run', 'record_preview', 'run_reason', 'seal_run'],
    ...[
      'enter_batch',
      'entered',
      'write_receipt',
      'confirm_batch',
      'try_each',
      'set_aside',
      'partitions',
      'drop_partition',
    ],
    ...[
      'effective_periods',
      'declare_version',
      'observe_labels',
      'admission',
      'claim_approval',
      'void_approval',
    ],
    ...[
      'begin_erasure',
      'begin_erasure_step',
      'record_erasure_steps',
      'finish_erasure',
      'note_erasure_clock',
    ],
    ...['open_archive', 'name_archive', 'refuse_unlike'],
    ...['expire_archives', 'abandoned_archives', 'discard_archive'],
    ...['entomb', 'archives_with_dead', 'replace_archive', 'holds_archive'],
    ...['prove_erasure', 'note_ledger'],
    ...['begin_replay', 'adopt_erasures', 'note_replay_walked', 'end_replay'],
    ...['write_export', 'fetch_export', 'end_export'],
    ...['blob_refusal', 'lock_files', 'is_held_file', 'queue_orphans'],
    ...['lease_refunds', 'may_refund', 'settle_refunds', 'take_step'],
    ...['use_link', 'claim_notice', 'settle_notice', 'give_up_notices', 'extend_by_notice', 'stop_notices'],
    ...['trim_records', 'trimmable_head', 'trim_receipts'],
    ...['as_printed', 'explained', 'operators_bound'],
  ],
  operator: [
    ...['place_hold', 'release_hold', 'set_extension', 'end_extension', 'set_override', 'remove_override'],
    ...['pause_policy', 'resume_policy', 'stop_all', 'resume_all', 'release_lease', 'note_breaker_closed'],
    ...['give_approval', 'withdraw_approval', 'note_restoration', 'remove_permanent'],
    ...['retry_letter', 'retry_letters', 'discard_letter', 'assign_letter'],
    ...['request_erasure', 'confirm_erasure', 'withdraw_erasure'],
    ...['request_export', 'link_export', 'withdraw_export'],
    ...['confirm_refund', 'resolve_order', 'extend_order'],
    ...['request_restore', 'confirm_restore', 'withdraw_restore'],
    ...['enter_restore', 'note_restored', 'finish_restore'],
  ],
  // It asks for the token through enter_restore.
  'operator alone': ['restore_rows'],
  // Each under its own name only.
  'app operator': ['claim_refunds', 'refunds_stopped'],
  'app operator reader': ['clock'],
  'app reader': [
    ...['keys_of', 'uuids_of', 'names_uuid', 'receipt_hash', 'audit_field', 'chain_rows', 'run_bounds'],
    ...['relation_named', 'label_of', 'root_of', 'names_of', 'local_time'],
  ],
  everyone: ['blob_path', 'blob_path_of', 'blob_unescaped', 'is_plain_path'],
  nobody: [
    ...[
      'audit_hash',
      'close_run',
      'count_run',
      'deletions',
      'erasure_detail',
      'erasure_due',
      'export_detail',
    ],
    ...['give_back_rights', 'held_by', 'ledger_hash'],
    ...['is_being_deleted', 'is_past', 'is_service', 'kept_in', 'open_partitions', 'proof_of', 'protect'],
    ...['prove_operator', 'record', 'record_operator', 'refund_over', 'refuse_same', 'run_digest'],
    ...['movements', 'since', 'tables_in', 'take_rights', 'working_roles'],
    ...['is_held_archive', 'queue_archive'],
    // Triggers.
    ...['admit_entries', 'artifact_event', 'await_files', 'await_refunds', 'chain_event'],
    ...[
      'free_files',
      'gate',
      'gate_policy',
      'guard_deletion',
      'guard_file_reference',
      'hash_receipt',
      'keep_archive',
    ],
    ...['name_by_root', 'refuse_change', 'refuse_unconfirmed', 'remember_override', 'resolve_letters'],
    ...['run_counted', 'run_ended', 'touch'],
  ],
};

/**
 * For the app, an operator and a reader: r select, a insert, w update, d delete, D truncate, as PostgreSQL lists them; in
 * parentheses for some columns only.
 */
export const TABLES: Readonly<Record<string, readonly [app: string, operator: string, reader: string]>> = {
  // Written by functions alone: what holds, stops, was approved, ran and was recorded.
  approval: ['r', '', 'r'],
  archive: ['r', '', 'r'],
  archive_subject: ['r', '', 'r'],
  audit_entry: ['r', '', 'r'],
  audit_event: ['r', '', 'r'],
  dead_letter: ['r', '', 'r'],
  deleted_total: ['r', '', 'r'],
  erasure: ['r', '', 'r'],
  erasure_step: ['r', '', 'r'],
  evidence_anchor: ['r', '', 'r'],
  export: ['r', '', 'r'],
  extension: ['r', '', 'r'],
  hold: ['r', '', 'r'],
  kill_switch: ['r', 'r', 'r'],
  last_run: ['r', '', 'r'],
  link_use: ['r', '', 'r'],
  notice: ['r', '', 'r'],
  notice_part: ['r', '', 'r'],
  notice_stop: ['r', '', 'r'],
  order_step: ['r', 'r', 'r'],
  partition_grant: ['r', '', 'r'],
  past_override: ['r', '', 'r'],
  period_override: ['r', '', 'r'],
  permanent_table: ['r', '', 'r'],
  policy_state: ['r', 'r', 'r'],
  policy_version: ['r', '', 'r'],
  // A reader sees neither what pays nor what confirms.
  refund_intent: ['r', 'r', '(r)'],
  restoration: ['r', '', 'r'],
  restore: ['r', '', 'r'],
  restore_part: ['r', '', 'r'],
  run: ['r', '', 'r'],
  run_total: ['r', '', 'r'],
  tenant_label: ['r', '', 'r'],
  // By the deleting statement, whose guards check each row. A reader sees no name of a file.
  receipt: ['r', '', 'r'],
  replay: ['r', '', 'r'],
  outbox: ['r(a)(w)', '', '(r)'],
  // What the jobs measure and notice; nothing is decided by them.
  alert: ['raw', '', 'r'],
  backlog: ['raw', '', 'r'],
  backlog_day: ['ra', '', 'r'],
  blob_finding: ['raw', '', '(r)'],
  blob_scan: ['raw', '', 'r'],
  drift: ['rawd', '', 'r'],
  forecast: ['raw', '', 'r'],
  incident: ['raw', '', 'r'],
  quality: ['rawd', '', 'r'],
  tenant_total: ['raw', '', 'r'],
  watch_turn: ['rw', '', 'r'],
  watched: ['raw', '', 'r'],
  // Whoever read or wrote these could pass for a batch or for a person, or undo what protects the database.
  applied_functions: ['', '', ''],
  batch_secret: ['', '', ''],
  ledger_secret: ['', '', ''],
  operator: ['', '', ''],
  taken_right: ['', '', ''],
  unconfirmed_deletion: ['', '', ''],
};
