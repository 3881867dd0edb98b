-- Lapse's own old records: what is blanked or taken away after its period. The app says how long to keep, these
-- functions never less than their least; what must stay is said here, beside what goes.

-- Each call changes at most `most` records of one kind and returns how many; 0: none is old enough.
create or replace function retention.trim_records(kind text, keep_days int, most int) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- No cooling-off is longer than a year: what it asks for is kept longer than that.
  least_days constant int := case kind when 'file_names' then 7 when 'dry_runs' then 30 when 'findings' then 30 when 'link_uses' then 1 else 400 end;
  before timestamptz := retention.clock() - make_interval(days => greatest(keep_days, least_days));
  changed bigint;
begin
  case kind
    when 'file_names' then
      update retention.outbox set url = 'sha256:' || encode(sha256(convert_to(url, 'UTF8')), 'hex')
        where id in (select o.id from retention.outbox o
          where o.state in ('deleted', 'kept') and o.url not like 'sha256:%' and o.updated_at < before
          order by o.updated_at limit most);
    when 'outbox' then
      delete from retention.outbox where id in (select o.id from retention.outbox o
        where o.state in ('deleted', 'kept') and o.created_at < before order by o.id limit most);
    when 'letters' then
      -- A discarded one says that its row stays for good: it is a decision, not a record.
      delete from retention.dead_letter where id in (select l.id from retention.dead_letter l
        where l.state = 'resolved' and l.updated_at < before limit most);
    when 'alerts' then
      delete from retention.alert where id in (select a.id from retention.alert a join retention.incident i on i.id = a.incident
        where i.recovered_at < before limit most);
    when 'incidents' then
      delete from retention.incident where id in (select i.id from retention.incident i
        where i.recovered_at < before and not exists (select 1 from retention.alert a where a.incident = i.id) limit most);
    when 'findings' then
      delete from retention.blob_finding where id in (select f.id from retention.blob_finding f
        where f.state in ('queued', 'resolved') and f.updated_at < before limit most);
    when 'scans' then
      delete from retention.blob_scan where id in (select s.id from retention.blob_scan s
        where s.finished_at < before and s.id <> (select x.id from retention.blob_scan x order by x.started_at desc limit 1) limit most);
    when 'tenant_totals' then
      delete from retention.tenant_total t where t.ctid = any(array(select x.ctid from retention.tenant_total x
        join retention.run r on r.id = x.run where r.finished_at < before limit most));
    when 'past_periods' then
      delete from retention.past_override where id in (select o.id from retention.past_override o where o.ended_at < before limit most);
    when 'past_labels' then
      delete from retention.tenant_label t where t.ctid = any(array(select x.ctid from retention.tenant_label x
        where x.ended_at < before limit most));
    when 'order_steps' then
      delete from retention.order_step s where s.ctid = any(array(select x.ctid from retention.order_step x
        where x.taken_at < before order by x.taken_at limit most));
    when 'notices' then
      -- Rows that it told of and that are still there stay until their organization is told again.
      delete from retention.notice where id in (select n.id from retention.notice n
        where n.state <> 'open' and n.settled_at < before order by n.settled_at limit most);
    when 'link_uses' then
      -- Behind its time a link does nothing, whether its use is remembered or not.
      delete from retention.link_use where id in (select u.id from retention.link_use u
        where u.expires_at < before order by u.expires_at limit most);
    when 'dry_runs' then
      delete from retention.run where id in (select r.id from retention.run r
        where r.mode = 'dry_run' and r.finished_at < before
          and not exists (select 1 from retention.approval a where a.preview = r.id) limit most);
    when 'idle_runs' then
      -- A run that deleted nothing and that nothing else names.
      delete from retention.run where id in (select r.id from retention.run r
        where r.mode = 'delete' and r.deleted = 0 and r.finished_at < before
          and not exists (select 1 from retention.receipt c where c.run = r.id)
          and not exists (select 1 from retention.outbox o where o.run = r.id)
          and not exists (select 1 from retention.approval a where a.used_by = r.id or a.preview = r.id)
          and not exists (select 1 from retention.last_run l where l.run = r.id)
          and not exists (select 1 from retention.tenant_total t where t.run = r.id)
          and not exists (select 1 from retention.audit_event e where e.run = r.id)
          and not exists (select 1 from retention.audit_entry e where e.subject = r.id::text) limit most);
    else
      raise exception 'lapse: "%" is no kind of record', kind using errcode = '22023';
  end case;
  get diagnostics changed = row_count;
  return changed;
end $$;
comment on function retention.trim_records(text, int, int) is
  'Blanks or takes away Lapse''s own old records of one kind, at most so many; never younger than that kind''s least.';

-- The next entries whose runs may lose their receipts: the last of at most `most` that are old enough. The chain itself
-- is never trimmed: an entry a run, no keys.
create or replace function retention.trimmable_head(keep_days int, most int, out n bigint, out hash text, out at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select x.n, x.hash, x.at from (
    select e.n, e.hash, e.at from retention.audit_entry e
    where e.action = 'run.sealed' and e.n > coalesce((select max(a.n) from retention.evidence_anchor a), 0)
    order by e.n limit most
  ) x
  where x.at < retention.clock() - make_interval(days => greatest(keep_days, 1100))
  order by x.n desc limit 1
$$;
comment on function retention.trimmable_head(int, int) is 'Up to which entry of the chain receipts may be taken away now.';

-- Takes away the receipts of the runs that these entries sealed, behind a signed head that stays. All or nothing.
create or replace function retention.trim_receipts(keep_days int, up_to bigint, its_hash text, signed_head text, signature text, public_key text)
returns bigint language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  last record;
  from_n bigint;
  gone bigint;
begin
  if coalesce(signature, '') = '' or coalesce(public_key, '') = '' then
    raise exception 'lapse: without a signature what was taken away could not be answered for' using errcode = 'LP020';
  end if;
  select e.n, e.hash, e.at into last from retention.audit_entry e where e.n = up_to and e.action = 'run.sealed';
  if last.hash is distinct from its_hash or (signed_head::jsonb ->> 'hash') is distinct from its_hash
    or (signed_head::jsonb ->> 'n') is distinct from up_to::text then
    raise exception 'lapse: the head that was signed is not entry %', up_to using errcode = 'LP020';
  end if;
  if last.at >= retention.clock() - make_interval(days => greatest(keep_days, 1100)) then
    raise exception 'lapse: entry % is not old enough', up_to using errcode = 'LP020';
  end if;
  select coalesce(max(a.n), 0) into from_n from retention.evidence_anchor a;
  delete from retention.receipt c using retention.audit_entry e
    where e.n > from_n and e.n <= up_to and e.action = 'run.sealed' and c.run = e.subject::uuid;
  get diagnostics gone = row_count;
  update retention.run r set evidence_until = retention.clock() from retention.audit_entry e
    where e.n > from_n and e.n <= up_to and e.action = 'run.sealed' and r.id = e.subject::uuid;
  insert into retention.evidence_anchor (n, hash, entry_at, head, signature, public_key, receipts)
    values (up_to, its_hash, last.at, signed_head, trim_receipts.signature, trim_receipts.public_key, gone);
  perform retention.record('own-records', 'receipts.trimmed', up_to::text, 'kept for their period',
    jsonb_build_object('receipts', gone, 'until', last.at));
  return gone;
end $$;
comment on function retention.trim_receipts(int, bigint, text, text, text, text) is
  'Takes away receipts after their period, behind a signed head of the entries that sealed them.';
