-- Whether a live row still names a file is asked by the canonical form of its name, however the row writes it.

-- Up Migration

create index generated_pdfs_file_path on generated_pdfs (retention.blob_path(file_url));
create index render_jobs_tmp_file_path on render_jobs (retention.blob_path(tmp_file_url));
create index render_outputs_file_path on render_outputs (retention.blob_path(file_url));
create index artifacts_storage_path on artifacts (retention.blob_path(storage_key));
create index artifact_files_storage_path on artifact_files (retention.blob_path(storage_key));
drop index generated_pdfs_file_url, render_jobs_tmp_file_url, render_outputs_file_url, artifacts_storage_key,
  artifact_files_storage_key;

-- Down Migration

create index generated_pdfs_file_url on generated_pdfs (file_url);
create index render_jobs_tmp_file_url on render_jobs (tmp_file_url);
create index render_outputs_file_url on render_outputs (file_url);
create index artifacts_storage_key on artifacts (storage_key);
create index artifact_files_storage_key on artifact_files (storage_key);
drop index generated_pdfs_file_path, render_jobs_tmp_file_path, render_outputs_file_path, artifacts_storage_path,
  artifact_files_storage_path;
