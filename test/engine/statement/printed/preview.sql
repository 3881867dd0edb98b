-- one request, READ ONLY

-- as before: with recursive asked as materialized ( select d.n, d.goes, c

select
  to_char(
    least(‹2026-03-01T02:00:00.000Z›::timestamptz, retention.clock ()) at time zone 'UTC',
    'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'
  ) as as_of,
  (
    select percentile_cont(0.5) within group (order by deleted / greatest(duration_seconds, 0.1))
    from
      (
        select deleted, duration_seconds
        from retention.run
        where policy = ‹things› and mode = 'delete' and deleted > 0 and finished_at is not null
        order by started_at desc
        limit 20
      ) r
  ) as rate;

-- as before: select retention.admission(?, ?, ?, ?::jsonb, least(?::times


-- one request, READ ONLY

with
  picked as materialized (
    select t.ctid as c, "t"."at" as clk, "t"."id" as "k0"
    from only "public"."things" t
    where "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
    order by "t"."at", "t"."id"
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
        from (select * from "picked" order by clk desc, "k0" desc limit 1) y
      ) l on true
  ),
  judged as materialized (
    select
      t.ctid as c,
      x.n,
      ‹all›::text as label,
      "t"."id"::text as key,
      "t"."at" as clk,
      (0)::bigint as bytes,
      (0)::bigint as files,
      case
        when "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
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
        )
      end as stays
    from
      only "public"."things" t
      join (select c, row_number() over (order by clk, "k0") as n from picked) x on x.c = t.ctid
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

select
  retention.record_preview (
    ‹things›,
    ‹id-1›::uuid,
    ‹hash›,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    ‹cron›,
    ‹cron›,
    ‹id-2›,
    ‹succeeded›,
    ‹null›,
    ‹{"complete":true,"expired":2,"bytes":0,"files":0,"byRule":{"all":{"expired":2,"bytes":0,"files":0}},"dependants":{},"rowsSha256":"c9fd01554dd40ba2dae2ca6dec9281d6022868a9db621d977d29c34a36dd5af7","detached":{},"kept":{"held":0,"extended":0,"dead_letter":0,"referenced":0,"not_expired":0,"condition":0,"newest":0,"one_of_period":0,"unnoticed":0,"unknown_rule":0,"busy":0,"changed":0},"keptBelow":{},"mayFollow":0,"blockers":[],"partitions":[],"sampleKeys":["00000000-0000-4000-8000-000000000001","00000000-0000-4000-8000-000000000002"],"oldest":"2026-01-20T02:00:00.000000Z","newest":"2026-01-20T02:00:00.000000Z","estimatedRuns":1,"approvable":{"digest":"acde246cd45d19692a9a9421aa1f6445105cbe2ae96a44ab0da46b6037ea277c","expiresAt":"2026-03-02T02:00:00.000Z"}}›::jsonb,
    ‹{"held":0,"extended":0,"dead_letter":0,"referenced":0,"not_expired":0,"condition":0,"newest":0,"one_of_period":0,"unnoticed":0,"unknown_rule":0,"busy":0,"changed":0}›::jsonb,
    ‹within_sla›
  );
