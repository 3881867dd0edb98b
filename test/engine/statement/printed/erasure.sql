-- one request, READ ONLY

with recursive
  links as materialized (
    select
      f.oid,
      f.conname,
      f.conrelid,
      f.confrelid,
      f.conkey,
      f.confkey,
      f.confdeltype,
      coalesce(pg_partition_root(f.conrelid)::oid, f.conrelid) as from_root,
      coalesce(pg_partition_root(f.confrelid)::oid, f.confrelid) as to_root
    from pg_constraint f
    where f.contype = 'f' and f.conparentid = 0
  ),
  wanted (oid) as (
    select c.oid
    from
      jsonb_array_elements_text(‹["public.things"]›::jsonb) x (label)
      join pg_namespace n on true
      join pg_class c on c.relnamespace = n.oid
      and n.nspname || '.' || c.relname = x.label
    where c.relkind in ('r', 'p')
    union
    select l.from_root
    from wanted w join links l on l.to_root = w.oid
  )
select
  n.nspname || '.' || c.relname as label,
  n.nspname as schema,
  c.relname as name,
  c.relkind = 'p' as partitioned,
  (
    select
      coalesce(
        jsonb_agg(
          jsonb_build_array(
            a.attname,
            format_type(a.atttypid, a.atttypmod),
            format_type(a.atttypid, null),
            a.attnotnull
          )
          order by a.attnum
        ),
        '[]'
      )
    from pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  ) as columns,
  coalesce(
    (
      select
        (
          select jsonb_agg(a.attname order by k.ord)
          from
            unnest(i.indkey::int2[]) with ordinality k (attnum, ord)
            join pg_attribute a on a.attrelid = c.oid
            and a.attnum = k.attnum
          where k.ord <= i.indnkeyatts
        )
      from pg_index i
      where
        i.indrelid = c.oid
        and i.indisunique
        and i.indisvalid
        and i.indpred is null
        and i.indexprs is null
        and not exists (
          select
          from
            unnest((i.indkey::int2[]) [0:i.indnkeyatts - 1]) k (attnum)
            join pg_attribute a on a.attrelid = c.oid
            and a.attnum = k.attnum
          where not a.attnotnull
        )
      order by i.indisprimary desc, i.indexrelid
      limit 1
    ),
    '[]'
  ) as key,
  has_schema_privilege(n.oid, 'USAGE') as may_use,
  has_any_column_privilege(c.oid, 'SELECT') as may_read,
  not exists (
    select
    from pg_partition_tree(c.oid) l
    where not has_any_column_privilege(l.relid, 'SELECT')
  ) as may_read_parts
from wanted w join pg_class c on c.oid = w.oid join pg_namespace n on n.oid = c.relnamespace
order by 1;

with recursive
  links as materialized (
    select
      f.oid,
      f.conname,
      f.conrelid,
      f.confrelid,
      f.conkey,
      f.confkey,
      f.confdeltype,
      coalesce(pg_partition_root(f.conrelid)::oid, f.conrelid) as from_root,
      coalesce(pg_partition_root(f.confrelid)::oid, f.confrelid) as to_root
    from pg_constraint f
    where f.contype = 'f' and f.conparentid = 0
  ),
  wanted (oid) as (
    select c.oid
    from
      jsonb_array_elements_text(‹["public.things"]›::jsonb) x (label)
      join pg_namespace n on true
      join pg_class c on c.relnamespace = n.oid
      and n.nspname || '.' || c.relname = x.label
    where c.relkind in ('r', 'p')
    union
    select l.from_root
    from wanted w join links l on l.to_root = w.oid
  )
select
  l.conname as name,
  fn.nspname || '.' || f.relname as "from",
  tn.nspname || '.' || t.relname as "to",
  l.confdeltype as on_delete,
  (
    select jsonb_agg(a.attname order by k.ord)
    from
      unnest(l.conkey) with ordinality k (attnum, ord)
      join pg_attribute a on a.attrelid = l.conrelid
      and a.attnum = k.attnum
  ) as columns,
  (
    select jsonb_agg(a.attname order by k.ord)
    from
      unnest(l.confkey) with ordinality k (attnum, ord)
      join pg_attribute a on a.attrelid = l.confrelid
      and a.attnum = k.attnum
  ) as to_columns
from
  links l
  join wanted w on w.oid = l.to_root
  join pg_class f on f.oid = l.from_root
  join pg_namespace fn on fn.oid = f.relnamespace
  join pg_class t on t.oid = l.to_root
  join pg_namespace tn on tn.oid = t.relnamespace
order by 2, 1;


-- one request, READ ONLY

with
  k as materialized (
    select c.at - 1 as at, x.*, coalesce(s.sign, '') as sign
    from
      jsonb_array_elements(
        ‹[{"schema":"public","table":"things","column":"org","given":["00000000-0000-4000-8000-000000000100"]}]›::jsonb
      ) with ordinality c (v, at)
      cross join lateral jsonb_to_record(c.v) x (schema text, "table" text, "column" text, given jsonb)
      left join lateral (
        select concat_ws(' ', a.atttypid, a.atttypmod, a.attcollation) as sign
        from
          pg_namespace n
          join pg_class r on r.relnamespace = n.oid
          join pg_attribute a on a.attrelid = r.oid
        where
          n.nspname = x.schema
          and r.relname = x."table"
          and a.attname = x."column"
          and a.attnum > 0
          and not a.attisdropped
        offset 0
      ) s on true
  ),
  p as materialized (
    select g.sign, x.*
    from
      (
        select k.sign, array_agg(distinct v.given) as given
        from k cross join lateral jsonb_array_elements_text(k.given) v (given)
        group by k.sign
      ) g
      join (select distinct on (sign) * from k) f on f.sign = g.sign
      cross join lateral retention.all_printed (f.schema, f."table", f."column", g.given) x
  ),
  m as (
    select m.pair, jsonb_agg(p.printed order by m.i)::text as subject
    from
      jsonb_to_recordset(‹[]›::jsonb) m (pair int, i int, at int, given text)
      join k on k.at = m.at
      join p on p.sign = k.sign
      and p.given is not distinct from m.given
    group by m.pair
    having bool_and(p.problem is null)
  )
select
  (select jsonb_agg(jsonb_build_object('at', at, 'sign', sign)) from k) as columns,
  (
    select
      jsonb_agg(
        jsonb_build_object(
          'sign',
          sign,
          'given',
          given,
          'printed',
          printed,
          'type',
          type_name,
          'base',
          base_name,
          'loose',
          loose,
          'problem',
          problem
        )
      )
    from p
  ) as printed,
  (select coalesce(jsonb_object_agg(pair, subject), '{}') from m) as several;


-- one request, READ ONLY

with
  picked as materialized (
    select t.ctid as c, null::text as clk, "t"."id" as "k0"
    from only "public"."things" t
    where ((("t"."org" = ‹00000000-0000-4000-8000-000000000100›)) and true)
    order by "t"."id"
    limit ‹20000›::int
  ),
  at as materialized (
    select
      x.n as picked,
      0 as unknown,
      jsonb_build_object('ended', not x.full_batch, 'clock', l.clock, 'key', coalesce(l.key, '[]')) as after
    from
      (select count(*)::int as n, (select count(*) from picked) >= ‹20000›::int as full_batch from "picked") x
      left join (
        select clk::text as clock, jsonb_build_array("k0"::text) as key
        from (select * from "picked" order by "k0" desc limit 1) y
      ) l on true
  ),
  judged as materialized (
    select
      t.ctid as c,
      x.n,
      ‹erasure›::text as label,
      "t"."id"::text as key,
      null::timestamptz as clk,
      (
        (
          case
            when coalesce("t"."file"::text, '') <> '' then coalesce(
              (
                case
                  when "t"."bytes" is not null then least(greatest("t"."bytes"::numeric, 0), 5000000000000)
                end
              ),
              0
            )
            else 0
          end
        )
      )::bigint as bytes,
      ((case when coalesce("t"."file"::text, '') <> '' then 1 else 0 end))::bigint as files,
      case
        when ((("t"."org" = ‹00000000-0000-4000-8000-000000000100›)) and true)
        and not (
          case
            when (
              select exists (select 1 from retention.hold where released_at is null)
            ) then (
              exists (
                select 1
                from retention.hold h
                where h.released_at is null and h.scope = 'organization' and h.subject = "t"."org"::text
              )
              or exists (
                select 1
                from retention.hold h
                where h.released_at is null and h.scope = 'user' and h.subject = "t"."person"::text
              )
              or exists (
                select 1
                from retention.hold h
                where
                  h.released_at is null
                  and h.scope = 'item'
                  and h.subject = "t"."id"::text
                  and h.table_name in ('public.things')
              )
              or (
                (
                  exists (
                    select 1
                    from retention.hold h
                    where
                      h.released_at is null
                      and h.scope = 'organization'
                      and h.subject = ‹00000000-0000-4000-8000-000000000100›
                  )
                )
                or false
              )
            )
            else false
          end
        )
        and not (
          case
            when (
              select
                exists (
                  select 1
                  from retention.dead_letter
                  where
                    table_name in ('public.things')
                    and (
                      state = 'discarded'
                      or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                    )
                )
            ) then exists (
              select 1
              from retention.dead_letter
              where
                table_name in ('public.things')
                and row_key = "t"."id"::text
                and (
                  state = 'discarded'
                  or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                )
            )
            else false
          end
        )
        and not false then null
        else coalesce(
          coalesce(
            (
              case
                when (
                  select exists (select 1 from retention.hold where released_at is null)
                ) then case
                  when (
                    exists (
                      select 1
                      from retention.hold h
                      where h.released_at is null and h.scope = 'organization' and h.subject = "t"."org"::text
                    )
                    or exists (
                      select 1
                      from retention.hold h
                      where h.released_at is null and h.scope = 'user' and h.subject = "t"."person"::text
                    )
                    or exists (
                      select 1
                      from retention.hold h
                      where
                        h.released_at is null
                        and h.scope = 'item'
                        and h.subject = "t"."id"::text
                        and h.table_name in ('public.things')
                    )
                    or (
                      (
                        exists (
                          select 1
                          from retention.hold h
                          where
                            h.released_at is null
                            and h.scope = 'organization'
                            and h.subject = ‹00000000-0000-4000-8000-000000000100›
                        )
                      )
                      or false
                    )
                  ) then 'held'
                end
              end
            ),
            (
              case
                when (
                  select
                    exists (
                      select 1
                      from retention.dead_letter
                      where
                        table_name in ('public.things')
                        and (
                          state = 'discarded'
                          or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                        )
                    )
                ) then case
                  when exists (
                    select 1
                    from retention.dead_letter
                    where
                      table_name in ('public.things')
                      and row_key = "t"."id"::text
                      and (
                        state = 'discarded'
                        or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                      )
                  ) then 'dead_letter'
                end
              end
            ),
            case
              when (
                ((("t"."org" = ‹00000000-0000-4000-8000-000000000100›)) and true)
              ) is not true then 'not_expired'
            end
          ),
          'busy'
        )
      end as stays
    from
      only "public"."things" t
      join (select c, row_number() over (order by "k0") as n from picked) x on x.c = t.ctid
    where t.ctid = any (array(select c from picked))
  ),
  stayed as (select stays as reason, count(*) as n from judged where stays is not null group by 1),
  going as materialized (select j.*, '[]'::jsonb as along from judged j where j.stays is null)
select
  at.picked,
  coalesce(
    (select jsonb_object_agg(reason, n) from stayed),
    '{}'
  ) || case when at.unknown > 0 then jsonb_build_object('unknown_rule', at.unknown) else '{}' end as kept,
  at.after,
  coalesce(
    (
      select
        jsonb_object_agg(
          r.label,
          jsonb_build_object(
            'expired',
            r.n,
            'bytes',
            least(r.bytes, 9007199254740991)::bigint,
            'files',
            r.files
          )
        )
      from
        (
          select g.label, count(*) as n, sum(g.bytes) as bytes, sum(g.files) as files
          from going g
          group by 1
        ) r
    ),
    '{}'
  ) as by_rule,
  '{}'::jsonb as dependants,
  '{}'::jsonb as detached,
  retention.chain_rows (
    ‹hash›::text,
    coalesce(
      (
        select array_agg(jsonb_build_array(g.label, g.key, g.bytes, g.files, g.along)::text order by g.n)
        from going g
      ),
      '{}'
    )
  ) as rows_sha256,
  coalesce(
    (select jsonb_agg(s.key) from (select g.key from going g order by g.clk, g.key limit 20) s),
    '[]'
  ) as sample,
  to_char((select min(clk) from going) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as oldest,
  to_char((select max(clk) from going) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as newest
from at;


-- one request

select set_config('lapse.operator_token', ‹›, true);

select
  retention.request_erasure (
    ‹organization›,
    ‹00000000-0000-4000-8000-000000000100›,
    ‹request 12›,
    ‹ann›,
    ‹3›::bigint,
    ‹{}›::jsonb
  ) as it;


-- one request

-- as before: select set_config('lapse.operator_token', ?, true)

select retention.confirm_erasure (‹id-1›::uuid, ‹checked›, ‹ben›) as it;


-- one request

select retention.begin_erasure (‹id-1›::uuid, ‹ben›, ‹{}›::jsonb) as done;


-- one request, READ ONLY

select
  exists (
    select 1
    from only "public"."things" t
    where ((("t"."org" = ‹00000000-0000-4000-8000-000000000100›)) and true)
  ) as found;


-- one request

select
  retention.begin_erasure_step (
    ‹id-1›::uuid,
    ‹things›,
    ‹public.things›,
    ‹delete›,
    ‹id-2›::uuid
  );


-- one request

select
  retention.enter_batch (
    ‹things›,
    ‹1›::bigint,
    ‹id-2›::uuid,
    ‹1›::int,
    ‹hash›
  ),
  set_config('lapse.entered', clock_timestamp()::text, true);

with
  picked as materialized (
    select t.ctid as c, null::text as clk, "t"."id" as "k0"
    from only "public"."things" t
    where ((("t"."org" = ‹00000000-0000-4000-8000-000000000100›)) and true)
    order by "t"."id"
    limit ‹1000›::int
  ),
  locked as materialized (
    select t.ctid as c, ‹erasure›::text as label
    from only "public"."things" t
    where
      t.ctid = any (array(select c from picked))
      and current_setting('lapse.batch', true) = ‹id-2:1›
      and ((("t"."org" = ‹00000000-0000-4000-8000-000000000100›)) and true)
      and not (
        case
          when (
            select exists (select 1 from retention.hold where released_at is null)
          ) then (
            exists (
              select 1
              from retention.hold h
              where h.released_at is null and h.scope = 'organization' and h.subject = "t"."org"::text
            )
            or exists (
              select 1
              from retention.hold h
              where h.released_at is null and h.scope = 'user' and h.subject = "t"."person"::text
            )
            or exists (
              select 1
              from retention.hold h
              where
                h.released_at is null
                and h.scope = 'item'
                and h.subject = "t"."id"::text
                and h.table_name in ('public.things')
            )
            or (
              exists (
                select 1
                from retention.hold h
                where
                  h.released_at is null
                  and h.scope = 'organization'
                  and h.subject = ‹00000000-0000-4000-8000-000000000100›
              )
            )
          )
          else false
        end
      )
      and not (
        case
          when (
            select
              exists (
                select 1
                from retention.dead_letter
                where
                  table_name in ('public.things')
                  and (
                    state = 'discarded'
                    or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                  )
              )
          ) then exists (
            select 1
            from retention.dead_letter
            where
              table_name in ('public.things')
              and row_key = "t"."id"::text
              and (
                state = 'discarded'
                or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
              )
          )
          else false
        end
      )
      and not false
    for update of t skip locked
  ),
  gone as (
    delete from only "public"."things" t
    where t.ctid = any (array(select c from locked))
    returning
      t.ctid as c,
      "t"."id" as key,
      (
        (
          case
            when coalesce("t"."file"::text, '') <> '' then coalesce(
              (
                case
                  when "t"."bytes" is not null then least(greatest("t"."bytes"::numeric, 0), 5000000000000)
                end
              ),
              0
            )
            else 0
          end
        )
      )::bigint as bytes,
      "t"."file"::text as "f0",
      (
        case when "t"."bytes" is not null then least(greatest("t"."bytes"::numeric, 0), 5000000000000) end
      )::bigint as "b0",
      array_remove(array["t"."org"::text], null) as orgs,
      array_remove(array["t"."person"::text], null) as people
  ),
  queued as (
    insert into
      retention.outbox (
        run,
        seq,
        policy,
        table_name,
        row_key,
        url,
        bytes,
        organizations,
        users,
        owner_table,
        owner_key,
        prefix,
        suffixed
      )
    select ‹id-2›::uuid, ‹1›::int, ‹things›::text, f.*
    from
      (
        select
          'public.things' as table_name,
          key::text as key,
          "f0" as url,
          "b0" as bytes,
          orgs,
          people,
          null::text,
          null::text,
          'things/'::text,
          true
        from gone
        where "f0" <> ''
      ) f
    order by url
    returning 1
  ),
  totals as materialized (
    select
      count(*) as deleted,
      coalesce(string_agg(uuid_send (key), ''::bytea), '') as keys,
      0 as dependants_deleted,
      jsonb_build_object() as dependants,
      least(coalesce(sum(bytes), 0) + 0, 9007199254740991)::bigint as bytes,
      (select count(*) from queued) as files,
      case
        when count(*) = 0 then '{}'
        else jsonb_build_object(
          ‹erasure›::text,
          jsonb_build_object(
            'deleted',
            count(*),
            'bytes',
            least(coalesce(sum(bytes), 0), 9007199254740991)::bigint
          )
        )
      end as by_rule
    from gone
  ),
  at as materialized (
    select
      x.n as picked,
      0 as unknown,
      jsonb_build_object('ended', not x.full_batch, 'clock', l.clock, 'key', coalesce(l.key, '[]')) as after
    from
      (select count(*)::int as n, (select count(*) from picked) >= ‹1000›::int as full_batch from "picked") x
      left join (
        select clk::text as clock, jsonb_build_array("k0"::text) as key
        from (select * from "picked" order by "k0" desc limit 1) y
      ) l on true
  ),
  stayed as materialized (
    select
      coalesce(
        coalesce(
          (
            case
              when (
                select exists (select 1 from retention.hold where released_at is null)
              ) then case
                when (
                  exists (
                    select 1
                    from retention.hold h
                    where h.released_at is null and h.scope = 'organization' and h.subject = "t"."org"::text
                  )
                  or exists (
                    select 1
                    from retention.hold h
                    where h.released_at is null and h.scope = 'user' and h.subject = "t"."person"::text
                  )
                  or exists (
                    select 1
                    from retention.hold h
                    where
                      h.released_at is null
                      and h.scope = 'item'
                      and h.subject = "t"."id"::text
                      and h.table_name in ('public.things')
                  )
                  or (
                    exists (
                      select 1
                      from retention.hold h
                      where
                        h.released_at is null
                        and h.scope = 'organization'
                        and h.subject = ‹00000000-0000-4000-8000-000000000100›
                    )
                  )
                ) then 'held'
              end
            end
          ),
          (
            case
              when (
                select
                  exists (
                    select 1
                    from retention.dead_letter
                    where
                      table_name in ('public.things')
                      and (
                        state = 'discarded'
                        or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                      )
                  )
              ) then case
                when exists (
                  select 1
                  from retention.dead_letter
                  where
                    table_name in ('public.things')
                    and row_key = "t"."id"::text
                    and (
                      state = 'discarded'
                      or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                    )
                ) then 'dead_letter'
              end
            end
          ),
          case
            when (
              ((("t"."org" = ‹00000000-0000-4000-8000-000000000100›)) and true)
            ) is not true then 'not_expired'
          end
        ),
        'busy'
      ) as reason,
      count(*) as n
    from only "public"."things" t
    where
      (select picked from at) <> (select count(*) from locked)
      and t.ctid = any (array(select c from picked except all select c from locked))
    group by 1
  ),
  seen as materialized (
    select
      at.picked,
      coalesce(
        (select jsonb_object_agg(reason, n) from stayed),
        '{}'
      ) || case when at.unknown > 0 then jsonb_build_object('unknown_rule', at.unknown) else '{}' end as kept,
      at.after
    from at
  )
select s.picked, x.deleted, x.dependants_deleted, x.files, x.bytes, x.by_rule, s.kept, s.after
from
  totals x
  cross join seen s
  cross join lateral retention.write_receipt (
    ‹id-2›::uuid,
    ‹1›::int,
    'delete',
    ‹erasure›::text,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    'public.things',
    null,
    x.keys,
    x.dependants,
    x.by_rule,
    (select count(*) from locked),
    x.deleted,
    x.dependants_deleted,
    x.files,
    x.bytes,
    s.picked,
    s.kept,
    s.after
  ) r;

select
  retention.confirm_batch (‹id-2›::uuid, ‹1›::int, null) as confirmed,
  (
    with
      l as materialized (
        select
          pid,
          bool_or(not granted) as waits,
          coalesce(bool_or(locktype = 'advisory' and classid = 7001 and granted), false) as ours
        from pg_locks
        where pid is not null
        group by pid
      )
    select
      jsonb_build_object(
        'waiting',
        count(*) filter (
          where l.waits and pg_blocking_pids(l.pid) && (select array_agg(o.pid) from l o where o.ours)
        ),
        'sessions',
        count(*) filter (where not l.ours),
        'lag',
        (select extract(epoch from max(r.replay_lag)) from pg_stat_replication r),
        'progress',
        jsonb_build_object(
          'ended',
          pg_snapshot_xmax(pg_current_snapshot())::text::bigint - (
            select count(*)
            from pg_snapshot_xip(pg_current_snapshot())
          ) - case
            when pg_current_xact_id_if_assigned() < pg_snapshot_xmax(pg_current_snapshot()) then 1
            else 0
          end,
          'runs',
          (
            select
              coalesce(
                jsonb_object_agg(
                  p.run_now,
                  (select coalesce(max(c.seq), 0) from retention.receipt c where c.run = p.run_now)
                ),
                '{}'
              )
            from retention.policy_state p
            where p.run_now is not null
          )
        )
      )
    from l join pg_stat_activity a using (pid)
    where a.datname = current_database()
  ) as pressure,
  extract(
    epoch
    from statement_timestamp() - current_setting('lapse.entered', true)::timestamptz
  )::float8 * 1000 as statement_ms;


-- one request, READ ONLY

select
  (
    exists (
      select 1
      from
        (
          select 1
          from only "public"."things" t
          where
            ((("t"."org" = ‹00000000-0000-4000-8000-000000000100›)) and true)
            and not (
              case
                when (
                  select exists (select 1 from retention.hold where released_at is null)
                ) then (
                  exists (
                    select 1
                    from retention.hold h
                    where h.released_at is null and h.scope = 'organization' and h.subject = "t"."org"::text
                  )
                  or exists (
                    select 1
                    from retention.hold h
                    where h.released_at is null and h.scope = 'user' and h.subject = "t"."person"::text
                  )
                  or exists (
                    select 1
                    from retention.hold h
                    where
                      h.released_at is null
                      and h.scope = 'item'
                      and h.subject = "t"."id"::text
                      and h.table_name in ('public.things')
                  )
                  or (
                    exists (
                      select 1
                      from retention.hold h
                      where
                        h.released_at is null
                        and h.scope = 'organization'
                        and h.subject = ‹00000000-0000-4000-8000-000000000100›
                    )
                  )
                )
                else false
              end
            )
            and not (
              case
                when (
                  select
                    exists (
                      select 1
                      from retention.dead_letter
                      where
                        table_name in ('public.things')
                        and (
                          state = 'discarded'
                          or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                        )
                    )
                ) then exists (
                  select 1
                  from retention.dead_letter
                  where
                    table_name in ('public.things')
                    and row_key = "t"."id"::text
                    and (
                      state = 'discarded'
                      or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                    )
                )
                else false
              end
            )
            and not false
          order by "t"."at", "t"."id"
          limit 1
        ) x
    )
  ) as left,
  ‹2026-03-01T02:00:00.000Z›::timestamptz as as_of;


-- one request

select
  retention.end_run (
    ‹things›,
    ‹id-2›::uuid,
    ‹succeeded›,
    ‹null›,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    ‹3›::bigint,
    ‹{"held":0,"extended":0,"dead_letter":0,"referenced":0,"not_expired":0,"condition":0,"newest":0,"one_of_period":0,"unnoticed":0,"unknown_rule":0,"busy":0,"changed":0}›::jsonb,
    ‹within_sla›,
    ‹{}›::jsonb
  );

select batches, deleted::text, dependants_deleted::text, files_queued::text, bytes_freed::text, by_rule
from retention.run
where id = ‹id-2›::uuid;


-- one request

select
  retention.record_erasure_steps (
    ‹id-1›::uuid,
    ‹[{"policy":"things","table":"public.things","action":"delete","outcome":"succeeded","reason":null,"kept":{"held":0,"extended":0,"dead_letter":0,"referenced":0,"not_expired":0,"condition":0,"newest":0,"one_of_period":0,"unnoticed":0,"unknown_rule":0,"busy":0,"changed":0}}]›::jsonb
  );


-- one request

select archives::text, dead::text, held::text
from retention.entomb (‹id-1›::uuid);


-- one request

select
  policy,
  table_name as table,
  action,
  outcome,
  reason,
  deleted::text,
  dependants_deleted::text,
  files::text,
  bytes::text,
  kept
from retention.erasure_step
where erasure = ‹id-1›::uuid
order by policy;


-- one request, READ ONLY

select
  coalesce(
    (
      select
        jsonb_agg(
          jsonb_build_object(
            'schema',
            w.s,
            'table',
            w.t,
            'column',
            w.c,
            'there',
            r.oid is not null,
            'in_parts',
            coalesce(r.relkind = 'p', false),
            'may_use',
            x.may_use,
            'may_read',
            x.may_read,
            'indexed',
            x.indexed
          )
        )
      from
        jsonb_to_recordset(
          ‹[{"s":"public","t":"things","c":"file"},{"s":"public","t":"things","c":"original"}]›::jsonb
        ) w (s text, t text, c text)
        left join (pg_class r join pg_namespace n on n.oid = r.relnamespace) on n.nspname = w.s
        and r.relname = w.t
        cross join lateral (
          select
            exists (
              select 1
              from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam
              where
                i.indrelid = r.oid
                and i.indisvalid
                and i.indpred is null
                and i.indkey[0] = 0
                and am.amname = 'btree'
                and pg_get_indexdef(i.indexrelid, 1, false) in (
                  format('retention.blob_path(%I)', w.c),
                  format('retention.blob_path((%I)::text)', w.c),
                  format('blob_path(%I)', w.c),
                  format('blob_path((%I)::text)', w.c)
                )
            ) as indexed,
            coalesce(has_schema_privilege(n.oid, 'USAGE'), false) as may_use,
            coalesce(has_table_privilege(r.oid, 'SELECT'), false) as may_read
        ) x
      where not (x.indexed and x.may_use and x.may_read)
    ),
    '[]'
  ) as unfit;


-- one request

select set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true);

select retention.lock_files (‹500›::int, ‹2026-03-01T02:00:00.000Z›::timestamptz) as paths;

with
  entries as materialized (
    select
      p.path,
      o.id,
      o.attempts,
      o.bytes,
      o.suffixed,
      o.created_at,
      o.error_class,
      o.policy = any (nullif(current_setting('lapse.files_off', true), '')::text[]) as off,
      coalesce(
        retention.blob_refusal (
          o.url,
          o.prefix,
          array(
            select
              jsonb_array_elements_text(
                ‹["printed.public.blob.vercel-storage.com","printed.private.blob.vercel-storage.com"]›::jsonb
              )
          )
        ),
        -- Files of an archive are queued by its own function, which is no batch's.
        case
          when not case
            when o.table_name = '(archive)'
            and o.run is null then starts_with(p.path, 'archives/')
            else p.path ^@ any (array(select jsonb_array_elements_text(‹["things/"]›::jsonb)))
          end then 'name.outside'
        end
      ) as refusal
    from
      unnest(nullif(current_setting('lapse.files', true), '')::text[]) p (path)
      -- Path by path through the index, whatever the planner thinks of the array's length.
      cross join lateral (
        select *
        from retention.outbox
        where path = p.path and state in ('pending', 'deleting')
        offset 0
      ) o
  ),
  judged as materialized (
    select
      e.path,
      e.decided_at,
      e.off,
      (
        exists (
          select 1
          from (select 1 from "public"."things" x where retention.blob_path ("x"."file") = e.path limit 1) y
        )
        or exists (
          select 1
          from
            (select 1 from "public"."things" x where retention.blob_path ("x"."original") = e.path limit 1) y
        )
      ) as live,
      (select exists (select 1 from retention.hold where released_at is null))
      and retention.is_held_file (e.path) as held
    from (select path, max(created_at) as decided_at, bool_or(off) as off from entries group by path) e
  ),
  claimed as (
    update retention.outbox o
    set
      state = case
        when e.refusal is not null then 'dead'
        when j.live then 'kept'
        when j.held then 'held'
        when j.off then o.state
        else 'deleting'
      end,
      settled_as = case when e.refusal is null and j.live then 'referenced' end,
      error_class = e.refusal,
      next_attempt_at = ‹2026-03-01T02:02:00.000Z›::timestamptz,
      claimed_until = case
        when e.refusal is null
        and not (j.live or j.held or j.off) then clock_timestamp() + make_interval(secs => 12)
      end
    from entries e join judged j using (path)
    where o.id = e.id
    returning
      o.id,
      case
        when o.claimed_until is null
        and o.state in ('pending', 'deleting') then 'off'
        else o.state
      end as state,
      o.attempts,
      o.bytes,
      o.suffixed,
      e.error_class,
      j.path,
      j.decided_at
  )
select
  path,
  state,
  jsonb_agg(id::text) as ids,
  max(attempts) as attempts,
  coalesce(max(bytes), 0)::text as bytes,
  bool_and(suffixed) as suffixed,
  bool_or(coalesce(error_class = 'blob.not_found', false)) as missed,
  to_char(max(decided_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as decided_at
from claimed
group by path, state;


-- one request, READ ONLY

select
  count(*) as open,
  coalesce(sum(bytes), 0)::text as open_bytes,
  min(created_at)::text as oldest_at,
  to_char(
    min(next_attempt_at) filter (
      where policy <> all (array(select policy from retention.policy_state where paused))
    ) at time zone 'UTC',
    'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'
  ) as next_at,
  (select count(*) from (select 1 from retention.outbox where state = 'dead' limit 100001) d) as dead,
  (select count(*) from (select 1 from retention.outbox where state = 'held' limit 100001) d) as held,
  (select stopped from retention.kill_switch) is distinct from false as stopped
from
  (
    select policy, bytes, created_at, next_attempt_at
    from retention.outbox
    where state in ('pending', 'deleting')
    order by next_attempt_at, id
    limit 100001
  ) o;


-- one request, READ ONLY

select
  n.nspname || '.' || c.relname as label,
  ln.nspname as schema,
  l.relname as name,
  z.bytes / b.size as blocks,
  b.size * (z.bytes + z.beside) / greatest(z.bytes, 1) as block_bytes,
  coalesce(
    (
      select jsonb_agg(distinct a.attname)
      from
        pg_constraint f
        join pg_class s on s.oid = f.confrelid
        join pg_namespace sn on sn.oid = s.relnamespace
        join pg_attribute a on a.attrelid = f.conrelid
        and a.attnum = any (f.conkey)
      where
        f.contype = 'f'
        and f.conrelid = c.oid
        and sn.nspname || '.' || s.relname = any (array(select jsonb_array_elements_text(‹[]›::jsonb)))
    ),
    '[]'
  ) as naming,
  coalesce(
    (
      select jsonb_agg(a.attname)
      from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
      where i.indrelid = c.oid and i.indisprimary
    ),
    '[]'
  ) as key,
  coalesce(
    (
      select jsonb_agg(a.attname)
      from pg_attribute a
      where
        a.attrelid = c.oid
        and a.attnum > 0
        and a.atttypid in ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
    ),
    '[]'
  ) as instants,
  has_schema_privilege(ln.oid, 'USAGE')
  and has_table_privilege(l.oid, 'SELECT')
  and not row_security_active(l.oid) as may_read
from
  pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  cross join lateral (
    select relid
    from retention.parts_of (c.oid)
    where isleaf
    union
    select c.oid
    where c.relkind in ('r', 'm')
  ) p
  join pg_class l on l.oid = p.relid
  and l.relkind in ('r', 'm')
  join pg_namespace ln on ln.oid = l.relnamespace
  cross join lateral (
    select
      pg_relation_size(l.oid) as bytes,
      coalesce(pg_relation_size(nullif(l.reltoastrelid, 0)), 0) as beside
  ) z
  cross join (select current_setting('block_size')::bigint as size) b
where
  n.nspname || '.' || c.relname = any (array(select jsonb_array_elements_text(‹["public.things"]›::jsonb)))
order by 1, 2, 3;


-- one request, READ ONLY

with
  seen as materialized (
    select
      to_jsonb(t) - array(select jsonb_array_elements_text(‹[]›::jsonb)) as j,
      jsonb_build_object() as ends
    from only "public"."things" t
    where t.ctid >= ‹(0,0)›::tid
  ),
  found as materialized (
    select
      e.key,
      x.until <= ‹2026-03-01T02:00:00.000Z›::timestamptz is true as over,
      count(*) as n,
      min(x.until) as until
    from
      seen
      cross join lateral jsonb_each(seen.j) e
      cross join lateral (select e.value::text as words offset 0) w
      cross join lateral (select (seen.ends ->> e.key)::timestamptz as until) x
    where strpos(lower(w.words), lower(‹00000000-0000-4000-8000-000000000100›::text)) > 0
    group by 1, 2
  )
select
  (select count(*) from seen) as rows,
  coalesce(
    (select jsonb_object_agg(f.key, f.n) from (select key, sum(n) as n from found group by 1) f),
    '{}'
  ) as found,
  coalesce((select jsonb_object_agg(key, n) from found where over), '{}') as over,
  (
    select to_char(min(until) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    from found
    where not over and isfinite(until)
  ) as until;


-- one request, READ ONLY

select distinct (n.nspname || '.' || c.relname) collate "C" as label
from
  pg_class l
  join pg_namespace ln on ln.oid = l.relnamespace
  join pg_class c on c.oid = coalesce(pg_partition_root(l.oid), l.oid)
  join pg_namespace n on n.oid = c.relnamespace
where
  l.relkind in ('r', 'm', 'f')
  and ln.nspname !~ '^pg_'
  and ln.nspname not in ('information_schema', 'retention', 'lapse_meta')
  and not (ln.nspname = 'public' and l.relname in ('lapse_migrations', 'lapse_example_migrations'))
  and ln.nspname || '.' || l.relname <> all (
    array(select jsonb_array_elements_text(‹["public.things"]›::jsonb))
  )
order by 1;


-- one request, READ ONLY

select o.id::text, o.path, o.state
from retention.outbox o
where
  o.id > ‹0›::bigint
  and (
    o.run = any (
      array(
        select unnest(s.runs)
        from retention.erasure_step s
        where s.erasure = ‹id-1›::uuid
      )
    )
    or (o.run is null and o.row_key = ‹id-1›)
  )
order by o.id
limit 500;


-- one request

select
  retention.note_erasure_check (
    ‹id-1›::uuid,
    nullif(
      ‹{"next":null,"parts":"54124008a9f53bdda07068f04efb4110c39ce1bb932dad2029cf12d5d62d16e6","entry":"0","tables":1,"rows":0,"files":0,"filesOpen":0,"filesFound":0,"found":{},"retained":{},"unread":[],"notRead":["public.artifact_files","public.artifacts","public.consents","public.documents","public.email_blacklist","public.generated_pdfs","public.magic_links","public.orders","public.organizations","public.purchases","public.quiz_responses","public.render_job_logs","public.render_jobs","public.render_outputs","public.subscriptions","public.support_messages","public.support_tickets","public.users","public.webhook_events"],"until":null}›::jsonb,
      'null'
    )
  );
