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
            or exists (
              select 1
              from only "public"."blobs" z
              where
                "t"."data" = "z"."id"
                and (
                  exists (
                    select 1
                    from retention.hold h
                    where
                      h.released_at is null
                      and h.scope = 'item'
                      and h.subject = "z"."id"::text
                      and h.table_name in ('public.blobs')
                  )
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
                from retention.extension
                where
                  table_name in ('public.things', 'public.blobs')
                  and keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
              )
          ) then (
            exists (
              select 1
              from retention.extension e
              where
                e.table_name in ('public.things')
                and e.row_key = "t"."id"::text
                and e.keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
            )
            or exists (
              select 1
              from only "public"."blobs" z
              where
                "t"."data" = "z"."id"
                and exists (
                  select 1
                  from retention.extension e
                  where
                    e.table_name in ('public.blobs')
                    and e.row_key = "z"."id"::text
                    and e.keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
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
                  table_name in ('public.things', 'public.blobs')
                  and (
                    state = 'discarded'
                    or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                  )
              )
          ) then (
            exists (
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
            or exists (
              select 1
              from only "public"."blobs" z
              where
                "t"."data" = "z"."id"
                and exists (
                  select 1
                  from retention.dead_letter
                  where
                    table_name in ('public.blobs')
                    and row_key = "z"."id"::text
                    and (
                      state = 'discarded'
                      or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                    )
                )
            )
          )
          else false
        end
      )
      and not false
    for update of t skip locked
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
                when exists (
                  select 1
                  from only "public"."blobs" z
                  where
                    "t"."data" = "z"."id"
                    and (
                      exists (
                        select 1
                        from retention.hold h
                        where
                          h.released_at is null
                          and h.scope = 'item'
                          and h.subject = "z"."id"::text
                          and h.table_name in ('public.blobs')
                      )
                    )
                ) then 'held by public.blobs'
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
                      table_name in ('public.things', 'public.blobs')
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
                when exists (
                  select 1
                  from only "public"."blobs" z
                  where
                    "t"."data" = "z"."id"
                    and exists (
                      select 1
                      from retention.extension e
                      where
                        e.table_name in ('public.blobs')
                        and e.row_key = "z"."id"::text
                        and e.keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                    )
                ) then 'extended by public.blobs'
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
                      table_name in ('public.things', 'public.blobs')
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
                when exists (
                  select 1
                  from only "public"."blobs" z
                  where
                    "t"."data" = "z"."id"
                    and exists (
                      select 1
                      from retention.dead_letter
                      where
                        table_name in ('public.blobs')
                        and row_key = "z"."id"::text
                        and (
                          state = 'discarded'
                          or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                        )
                    )
                ) then 'dead_letter by public.blobs'
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
select
  set_config('lapse.rows', coalesce((select array_agg(c)::text from locked), '{}'), true),
  set_config('lapse.seen', (select to_jsonb(seen)::text from seen), true);

with
  wanted0 as materialized (
    select t.ctid as c, r.*
    from only "public"."things" t cross join lateral (values ("t"."data")) r (k0)
    where t.ctid = any (current_setting('lapse.rows')::tid[]) and r.k0 is not null
  ),
  had0 as materialized (
    select "d"."id" as k0
    from only "public"."blobs" d
    where ("d"."id") in (select k0 from wanted0)
    for update skip locked
  ),
  lost0 as (
    select w.c
    from wanted0 w
    where
      (w.k0) not in (select k0 from had0)
      and exists (select 1 from only "public"."blobs" d where ("d"."id") = (w.k0))
  ),
  lost as materialized (select distinct x.c from (select c from lost0) x),
  staying as materialized (
    select l.c, l.label
    from
      unnest(
        current_setting('lapse.rows')::tid[],
        nullif(current_setting('lapse.labels', true), '')::text[]
      ) l (c, label)
    where l.c not in (select c from lost)
  ),
  counted as materialized (
    select 'busy' as reason, count(*) as n
    from only "public"."things" t
    where t.ctid = any (array(select c from lost))
    group by 1
  ),
  kept as (
    select coalesce(jsonb_object_agg(k.reason, k.n), '{}') as kept
    from
      (
        select x.reason, sum(x.n) as n
        from
          (
            select reason, n
            from counted
            union all
            select key, value::bigint
            from jsonb_each_text(current_setting('lapse.seen')::jsonb -> 'kept')
          ) x
        group by 1
      ) k
  )
select
  set_config('lapse.seen', jsonb_set(current_setting('lapse.seen')::jsonb, '{kept}', kept.kept)::text, true),
  set_config('lapse.labels', coalesce((select array_agg(label)::text from staying), '{}'), true),
  set_config('lapse.rows', coalesce((select array_agg(c)::text from staying), '{}'), true)
from kept;

with
  locked as materialized (
    select t.ctid as c, ‹all›::text as label
    from only "public"."things" t
    where
      t.ctid = any (current_setting('lapse.rows')::tid[])
      and current_setting('lapse.batch', true) = ‹id-1:1›
      and not (
        (
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
              or exists (
                select 1
                from only "public"."blobs" z
                where
                  "t"."data" = "z"."id"
                  and (
                    exists (
                      select 1
                      from retention.hold h
                      where
                        h.released_at is null
                        and h.scope = 'item'
                        and h.subject = "z"."id"::text
                        and h.table_name in ('public.blobs')
                    )
                  )
              )
            )
            else false
          end
        )
        or (
          case
            when (
              select
                exists (
                  select 1
                  from retention.extension
                  where
                    table_name in ('public.things', 'public.blobs')
                    and keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                )
            ) then (
              exists (
                select 1
                from retention.extension e
                where
                  e.table_name in ('public.things')
                  and e.row_key = "t"."id"::text
                  and e.keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
              )
              or exists (
                select 1
                from only "public"."blobs" z
                where
                  "t"."data" = "z"."id"
                  and exists (
                    select 1
                    from retention.extension e
                    where
                      e.table_name in ('public.blobs')
                      and e.row_key = "z"."id"::text
                      and e.keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                  )
              )
            )
            else false
          end
        )
        or (
          case
            when (
              select
                exists (
                  select 1
                  from retention.dead_letter
                  where
                    table_name in ('public.things', 'public.blobs')
                    and (
                      state = 'discarded'
                      or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                    )
                )
            ) then (
              exists (
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
              or exists (
                select 1
                from only "public"."blobs" z
                where
                  "t"."data" = "z"."id"
                  and exists (
                    select 1
                    from retention.dead_letter
                    where
                      table_name in ('public.blobs')
                      and row_key = "z"."id"::text
                      and (
                        state = 'discarded'
                        or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                      )
                  )
              )
            )
            else false
          end
        )
      )
  ),
  gone as (
    delete from only "public"."things" t
    where t.ctid = any (array(select c from locked))
    returning t.ctid as c, "t"."id" as key, (0)::bigint as bytes
  ),
  w0 as materialized (
    select distinct on (k0) r.*
    from
      (
        select r.*, t.ctid as place
        from only "public"."things" t cross join lateral (values ("t"."data")) r (k0)
        where t.ctid = any (array(select c from locked)) and r.k0 is not null
      ) r
    order by k0, r.place
  ),
  c0 as (
    delete from only "public"."blobs" d using w0 w
    cross join lateral (select t.* from only "public"."things" t where t.ctid = w.place offset 0) t
    where
      "d"."id" = w.k0
      and not (
        exists (
          select 1
          from only "public"."things" o
          where "o"."data" = "d"."id" and not o.ctid in (select c from locked)
        )
      )
    returning w.place as c, "d"."id"::text as key, (0)::bigint as bytes
  ),
  queued as (select 1 where false),
  totals as materialized (
    select
      count(*) as deleted,
      coalesce(string_agg(uuid_send (key), ''::bytea), '') as keys,
      (select count(*) from "c0") as dependants_deleted,
      jsonb_build_object(
        'public.blobs',
        coalesce((select jsonb_agg(key) from (select key from "c0") k), '[]')
      ) as dependants,
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
  seen as materialized (
    select s.picked, s.kept, s.after
    from jsonb_to_record(current_setting('lapse.seen')::jsonb) s (picked int, kept jsonb, after jsonb)
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
