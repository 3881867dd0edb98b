-- Where to look for a key: an index over the keys of sealed receipts, made behind the runs.

-- The same on every release of PostgreSQL, which its own hashes do not promise.
create or replace function retention.marks_of(keys text[]) returns int[]
language sql immutable strict parallel safe security invoker set search_path = pg_catalog, pg_temp as $$
  select coalesce(array_agg((get_byte(h, 0) << 24) | (get_byte(h, 1) << 16) | (get_byte(h, 2) << 8) | get_byte(h, 3)), '{}')
  from (select sha256(convert_to(k, 'UTF8')) as h from unnest(keys) k) x
$$;
comment on function retention.marks_of(text[]) is 'Four bytes of the hash of each key.';

-- Indexes the receipts of sealed runs, one after the other, until `most_ms` are over; returns how many. 0: none is left. Called twice at
-- the same time it does some of the work twice. A run is done once each of its receipts is.
create or replace function retention.index_receipts(most_ms int) returns int
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  until timestamptz := clock_timestamp() + make_interval(secs => greatest(most_ms, 1) / 1000.0);
  r record;
  c record;
  done int := 0;
begin
  for r in
    select x.id from retention.run x
    where x.mode = 'delete' and x.indexed_at is null and (x.finished_at is null or x.batches > 0) and x.sealed_at is not null
    order by x.started_at limit 1000
  loop
    for c in select x.id from retention.receipt x where x.run = r.id order by x.seq loop
      insert into retention.receipt_index (receipt, marks)
        select x.id, retention.marks_of(coalesce(retention.keys_of(x), '{}') || array(
          select k from (select * from jsonb_each(x.dependants) union all select * from jsonb_each(x.detached)) d
          cross join lateral jsonb_array_elements_text(d.value) k))
        from retention.receipt x
        where x.id = c.id and not exists (select 1 from retention.receipt_index i where i.receipt = x.id)
        on conflict do nothing;
      if found then
        done := done + 1;
        if clock_timestamp() > until then
          return done;
        end if;
      end if;
    end loop;
    update retention.run set indexed_at = clock_timestamp() where id = r.id;
  end loop;
  return done;
end $$;
comment on function retention.index_receipts(int) is 'Indexes the keys of sealed receipts for some time; returns how many receipts, 0 when none is left.';
