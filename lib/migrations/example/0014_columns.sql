-- Locking a row takes the right to update a column of it, any one: the key's is enough, and the mark of a soft delete.
-- Clocks and contents are the application's to change, not Lapse's: a clock set back would make a row expire.

-- Up Migration

revoke update on quiz_responses, generated_pdfs, magic_links, webhook_events, render_jobs, render_job_logs, artifacts,
  artifact_files, documents from lapse_app;
grant update (id) on quiz_responses, generated_pdfs, magic_links, webhook_events, render_jobs, render_job_logs, artifacts,
  artifact_files, documents to lapse_app;
grant update (deleted_at) on documents to lapse_app;

-- Down Migration

revoke update (id) on quiz_responses, generated_pdfs, magic_links, webhook_events, render_jobs, render_job_logs, artifacts,
  artifact_files, documents from lapse_app;
revoke update (deleted_at) on documents from lapse_app;
grant update on quiz_responses, generated_pdfs, magic_links, webhook_events, render_jobs, render_job_logs, artifacts,
  artifact_files, documents to lapse_app;
