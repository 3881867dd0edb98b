-- one request, READ ONLY

select count(*)::int as waiting
from (select 1 from retention.outbox where state in ('pending', 'deleting') limit 100000) o;


-- one request

select
  retention.enter_batch (
    ‹things›,
    ‹1›::bigint,
    ‹id-1›::uuid,
    ‹1›::int,
    ‹hash›
  ),
  set_config('lapse.entered', clock_timestamp()::text, true),
  set_config('lock_timeout', ‹75ms›, true),
  set_config('enable_seqscan', 'off', true),
  set_config('enable_bitmapscan', 'off', true),
  set_config('enable_hashjoin', 'off', true),
  set_config('enable_mergejoin', 'off', true);

with
  last as materialized (
    select "t"."at" as clk, "t"."id" as "k0"
    from only "public"."things" t
    where "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
    order by "t"."at", "t"."id"
    offset ‹1›::int
    limit 1
  ),
  gone as (
    delete from only "public"."things" t
    where
      "t"."at" <= (select coalesce((select clk from last), ‹2026-01-30T02:00:00.000Z›::timestamptz))
      and (
        not exists (select 1 from last)
        or ("t"."at", "t"."id") <= ((select clk from last), (select "k0" from last))
      )
      and current_setting('lapse.batch', true) = ‹id-1:1›
      and "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
      and isfinite("t"."at")
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
                from retention.extension
                where table_name in ('public.things') and keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
              )
          ) then exists (
            select 1
            from retention.extension e
            where
              e.table_name in ('public.things')
              and e.row_key = "t"."id"::text
              and e.keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
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
    select ‹id-1›::uuid, ‹1›::int, ‹things›::text, f.*
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
          ‹all›::text,
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
      (
        select
          case
            when x.full_batch then ‹2›::int
            else (
              select count(*)::int
              from
                (
                  select 1
                  from only "public"."things" t
                  where "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
                  order by "t"."at", "t"."id"
                  limit ‹2›::int
                ) x
            )
          end as n,
          x.full_batch
        from (select exists (select 1 from last) as full_batch) x
      ) x
      left join (select clk::text as clock, jsonb_build_array("k0"::text) as key from last) l on true
  ),
  stayed as materialized (
    select s.reason, s.n
    from
      totals x
      cross join lateral (
        select
          coalesce(y.reason, 'busy') as reason,
          y.n - case when y.reason is null then x.deleted else 0 end as n
        from
          (
            select
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
                          where
                            h.released_at is null
                            and h.scope = 'organization'
                            and h.subject = "t"."org"::text
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
                          from retention.extension
                          where
                            table_name in ('public.things')
                            and keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                        )
                    ) then case
                      when exists (
                        select 1
                        from retention.extension e
                        where
                          e.table_name in ('public.things')
                          and e.row_key = "t"."id"::text
                          and e.keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                      ) then 'extended'
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
                              or (
                                state = 'open'
                                and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz
                              )
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
                    "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
                    and isfinite("t"."at")
                  ) is not true then 'not_expired'
                end
              ) as reason,
              count(*) as n
            from only "public"."things" t
            where
              (select picked from at) <> (select deleted from totals)
              and t.ctid = any (
                array(
                  select t.ctid
                  from only "public"."things" t
                  where
                    "t"."at" <= (
                      select coalesce((select clk from last), ‹2026-01-30T02:00:00.000Z›::timestamptz)
                    )
                    and (
                      not exists (select 1 from last)
                      or ("t"."at", "t"."id") <= ((select clk from last), (select "k0" from last))
                    )
                    and "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
                )
              )
            group by 1
          ) y
      ) s
    where s.n > 0
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
    ‹id-1›::uuid,
    ‹1›::int,
    'delete',
    ‹retention›::text,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    'public.things',
    null,
    x.keys,
    x.dependants,
    x.by_rule,
    x.deleted,
    x.deleted,
    x.dependants_deleted,
    x.files,
    x.bytes,
    s.picked,
    s.kept,
    s.after
  ) r;

select
  retention.confirm_batch (‹id-1›::uuid, ‹1›::int, null) as confirmed,
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


-- one request

-- as before: select retention.enter_batch(?, ?::bigint, ?::uuid, ?::int, 

with
  last as materialized (
    select "t"."at" as clk, "t"."id" as "k0"
    from only "public"."things" t
    where
      "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
      and ("t"."at", "t"."id") > (
        ‹2026-01-20 02:00:00+00›::timestamptz,
        ‹00000000-0000-4000-8000-000000000002›::uuid
      )
    order by "t"."at", "t"."id"
    offset ‹1›::int
    limit 1
  ),
  gone as (
    delete from only "public"."things" t
    where
      ("t"."at", "t"."id") > (
        ‹2026-01-20 02:00:00+00›::timestamptz,
        ‹00000000-0000-4000-8000-000000000002›::uuid
      )
      and "t"."at" <= (select coalesce((select clk from last), ‹2026-01-30T02:00:00.000Z›::timestamptz))
      and (
        not exists (select 1 from last)
        or ("t"."at", "t"."id") <= ((select clk from last), (select "k0" from last))
      )
      and current_setting('lapse.batch', true) = ‹id-1:2›
      and "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
      and isfinite("t"."at")
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
                from retention.extension
                where table_name in ('public.things') and keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
              )
          ) then exists (
            select 1
            from retention.extension e
            where
              e.table_name in ('public.things')
              and e.row_key = "t"."id"::text
              and e.keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
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
    select ‹id-1›::uuid, ‹2›::int, ‹things›::text, f.*
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
          ‹all›::text,
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
      (
        select
          case
            when x.full_batch then ‹2›::int
            else (
              select count(*)::int
              from
                (
                  select 1
                  from only "public"."things" t
                  where
                    "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
                    and ("t"."at", "t"."id") > (
                      ‹2026-01-20 02:00:00+00›::timestamptz,
                      ‹00000000-0000-4000-8000-000000000002›::uuid
                    )
                  order by "t"."at", "t"."id"
                  limit ‹2›::int
                ) x
            )
          end as n,
          x.full_batch
        from (select exists (select 1 from last) as full_batch) x
      ) x
      left join (select clk::text as clock, jsonb_build_array("k0"::text) as key from last) l on true
  ),
  stayed as materialized (
    select s.reason, s.n
    from
      totals x
      cross join lateral (
        select
          coalesce(y.reason, 'busy') as reason,
          y.n - case when y.reason is null then x.deleted else 0 end as n
        from
          (
            select
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
                          where
                            h.released_at is null
                            and h.scope = 'organization'
                            and h.subject = "t"."org"::text
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
                          from retention.extension
                          where
                            table_name in ('public.things')
                            and keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                        )
                    ) then case
                      when exists (
                        select 1
                        from retention.extension e
                        where
                          e.table_name in ('public.things')
                          and e.row_key = "t"."id"::text
                          and e.keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                      ) then 'extended'
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
                              or (
                                state = 'open'
                                and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz
                              )
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
                    "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
                    and isfinite("t"."at")
                  ) is not true then 'not_expired'
                end
              ) as reason,
              count(*) as n
            from only "public"."things" t
            where
              (select picked from at) <> (select deleted from totals)
              and t.ctid = any (
                array(
                  select t.ctid
                  from only "public"."things" t
                  where
                    ("t"."at", "t"."id") > (
                      ‹2026-01-20 02:00:00+00›::timestamptz,
                      ‹00000000-0000-4000-8000-000000000002›::uuid
                    )
                    and "t"."at" <= (
                      select coalesce((select clk from last), ‹2026-01-30T02:00:00.000Z›::timestamptz)
                    )
                    and (
                      not exists (select 1 from last)
                      or ("t"."at", "t"."id") <= ((select clk from last), (select "k0" from last))
                    )
                    and "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
                )
              )
            group by 1
          ) y
      ) s
    where s.n > 0
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
    ‹id-1›::uuid,
    ‹2›::int,
    'delete',
    ‹retention›::text,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    'public.things',
    null,
    x.keys,
    x.dependants,
    x.by_rule,
    x.deleted,
    x.deleted,
    x.dependants_deleted,
    x.files,
    x.bytes,
    s.picked,
    s.kept,
    s.after
  ) r;

select
  retention.confirm_batch (‹id-1›::uuid, ‹2›::int, null) as confirmed,
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
            "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
            and isfinite("t"."at")
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
                      from retention.extension
                      where
                        table_name in ('public.things')
                        and keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                    )
                ) then exists (
                  select 1
                  from retention.extension e
                  where
                    e.table_name in ('public.things')
                    and e.row_key = "t"."id"::text
                    and e.keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
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
    ‹id-1›::uuid,
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
where id = ‹id-1›::uuid;


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
            else p.path ^@ any (array(select jsonb_array_elements_text(‹["things/","avatars/"]›::jsonb)))
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
