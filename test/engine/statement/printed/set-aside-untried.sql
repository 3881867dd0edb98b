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
    limit ‹1›::int
  ),
  rows as (
    select "t"."id"::text as key
    from only "public"."things" t
    where
      t.ctid = any (array(select c from picked))
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
  ),
  given as (
    select
      array_agg(x.key order by x.key) as keys,
      array_agg(x.sql_state order by x.key) as states,
      array_agg(x.constraint_name order by x.key) as constraints
    from (select key, ‹57014›::text, ‹null›::text from rows) x (key, sql_state, constraint_name)
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
    ‹1›::int,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    g.keys,
    g.states,
    g.constraints
  );


-- one request

select
  retention.end_run (
    ‹things›,
    ‹id-1›::uuid,
    ‹errored›,
    ‹database.timeout›,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    ‹0›::bigint,
    ‹{"held":0,"extended":0,"dead_letter":0,"referenced":0,"not_expired":0,"condition":0,"newest":0,"one_of_period":0,"unnoticed":0,"unknown_rule":0,"busy":0,"changed":0}›::jsonb,
    ‹within_sla›,
    ‹{}›::jsonb
  );

select batches, deleted::text, dependants_deleted::text, files_queued::text, bytes_freed::text, by_rule
from retention.run
where id = ‹id-1›::uuid;
