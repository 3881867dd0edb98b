-- one request

select
  retention.enter_batch (
    ‹things›,
    ‹1›::bigint,
    ‹id-1›::uuid,
    ‹1›::int,
    ‹hash›
  ),
  set_config('lapse.entered', clock_timestamp()::text, true);

with
  picked as materialized (
    select t.ctid as c, "t"."at" as clk, "t"."id" as "k0"
    from only "public"."things" t
    where "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
    order by "t"."at", "t"."id"
    limit ‹2›::int
  ),
  locked as materialized (
    select t.ctid as c, ‹all›::text as label
    from only "public"."things" t
    where
      t.ctid = any (array(select c from picked))
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
    for update of t skip locked
  ),
  gone as (
    delete from only "public"."things" t
    where t.ctid = any (array(select c from locked))
    returning t.ctid as c, "t"."id" as key, (0)::bigint as bytes
  ),
  queued as (select 1 where false),
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
      (select count(*)::int as n, (select count(*) from picked) >= ‹2›::int as full_batch from "picked") x
      left join (
        select clk::text as clock, jsonb_build_array("k0"::text) as key
        from (select * from "picked" order by clk desc, "k0" desc limit 1) y
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
              "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
              and isfinite("t"."at")
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
  retention.confirm_batch (
    ‹id-1›::uuid,
    ‹1›::int,
    (
      (
        select count(*)
        from only "public"."things" t
        where
          "t"."id" = any (
            (
              select retention.uuids_of (key_bytes)
              from retention.receipt
              where run = ‹id-1›::uuid and seq = ‹1›::int
            )::uuid[]
          )
      )
    )
  ) as confirmed,
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
  picked as materialized (
    select t.ctid as c, "t"."at" as clk, "t"."id" as "k0"
    from only "public"."things" t
    where
      "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
      and ("t"."at", "t"."id") > (
        ‹2026-01-20 02:00:00+00›::timestamptz,
        ‹00000000-0000-4000-8000-000000000002›::uuid
      )
    order by "t"."at", "t"."id"
    limit ‹2›::int
  ),
  locked as materialized (
    select t.ctid as c, ‹all›::text as label
    from only "public"."things" t
    where
      t.ctid = any (array(select c from picked))
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
    for update of t skip locked
  ),
  gone as (
    delete from only "public"."things" t
    where t.ctid = any (array(select c from locked))
    returning t.ctid as c, "t"."id" as key, (0)::bigint as bytes
  ),
  queued as (select 1 where false),
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
      (select count(*)::int as n, (select count(*) from picked) >= ‹2›::int as full_batch from "picked") x
      left join (
        select clk::text as clock, jsonb_build_array("k0"::text) as key
        from (select * from "picked" order by clk desc, "k0" desc limit 1) y
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
              "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
              and isfinite("t"."at")
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
  retention.confirm_batch (
    ‹id-1›::uuid,
    ‹2›::int,
    (
      (
        select count(*)
        from only "public"."things" t
        where
          "t"."id" = any (
            (
              select retention.uuids_of (key_bytes)
              from retention.receipt
              where run = ‹id-1›::uuid and seq = ‹2›::int
            )::uuid[]
          )
      )
    )
  ) as confirmed,
  extract(
    epoch
    from statement_timestamp() - current_setting('lapse.entered', true)::timestamptz
  )::float8 * 1000 as statement_ms;


-- one request

-- as before: select retention.enter_batch(?, ?::bigint, ?::uuid, ?::int, 

with
  picked as materialized (
    select t.ctid as c, "t"."at" as clk, "t"."id" as "k0"
    from only "public"."things" t
    where
      "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
      and ("t"."at", "t"."id") > (
        ‹2026-01-20 02:00:00+00›::timestamptz,
        ‹00000000-0000-4000-8000-000000000002›::uuid
      )
    order by "t"."at", "t"."id"
    limit ‹2›::int
  ),
  locked as materialized (
    select t.ctid as c, ‹all›::text as label
    from only "public"."things" t
    where
      t.ctid = any (array(select c from picked))
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
    for update of t skip locked
  )
select set_config('lapse.rows', coalesce((select array_agg(c)::text from locked), '{}'), true);

with
  refused as materialized (
    select r.*
    from retention.try_each (current_setting('lapse.rows')::tid[], ‹null›, ‹statement 1›, ‹statement 2›) r
  ),
  rows as (
    select "t"."id"::text as key, r.sql_state, r.constraint_name
    from only "public"."things" t join refused r on r.place = t.ctid
    where t.ctid = any (current_setting('lapse.rows')::tid[])
  ),
  given as (
    select
      array_agg(x.key order by x.key) as keys,
      array_agg(x.sql_state order by x.key) as states,
      array_agg(x.constraint_name order by x.key) as constraints
    from (select key, sql_state, constraint_name from rows) x (key, sql_state, constraint_name)
  )
select
  count(*)::int as letters,
  coalesce(jsonb_agg(distinct sql_state), '[]') as states,
  coalesce(
    jsonb_agg(distinct constraint_name) filter (where constraint_name is not null),
    '[]'
  ) as constraints
from
  given g
  cross join lateral retention.set_aside (
    ‹things›::text,
    'public.things',
    ‹id-1›::uuid,
    ‹2›::int,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    g.keys,
    g.states,
    g.constraints
  );

-- statement 1 of the one above
delete from only "public"."things" t
where t.ctid = ‹1›
returning "t"."id"::text;

-- statement 2 of the one above
select (select count(*) from only "public"."things" t where "t"."id" = any (array[‹1›::text]::uuid[])) > 0;


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
    ‹{"held":0,"extended":0,"dead_letter":1,"referenced":0,"not_expired":0,"condition":0,"newest":0,"one_of_period":0,"unnoticed":0,"unknown_rule":0,"busy":0,"changed":0}›::jsonb,
    ‹within_sla›,
    ‹{}›::jsonb
  );

select batches, deleted::text, dependants_deleted::text, files_queued::text, bytes_freed::text, by_rule
from retention.run
where id = ‹id-1›::uuid;
