-- one request, READ ONLY

select x.label, n.nspname as schema, c.relname as name
from
  jsonb_array_elements_text(‹["public.notes","public.pins","public.links"]›::jsonb) x (label)
  join pg_class c on c.oid = retention.root_of (x.label)
  join pg_namespace n on n.oid = c.relnamespace
where n.nspname || '.' || c.relname <> x.label;


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
    limit ‹5000›::int
  ),
  at as materialized (
    select
      x.n as picked,
      0 as unknown,
      jsonb_build_object('ended', not x.full_batch, 'clock', l.clock, 'key', coalesce(l.key, '[]')) as after
    from
      (select count(*)::int as n, (select count(*) from picked) >= ‹5000›::int as full_batch from "picked") x
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
              or exists (
                select 1
                from "public"."notes" d
                where
                  "d"."thing" = "t"."id"
                  and (
                    exists (
                      select 1
                      from retention.hold h
                      where h.released_at is null and h.scope = 'user' and h.subject = "d"."author"::text
                    )
                    or exists (
                      select 1
                      from retention.hold h
                      where
                        h.released_at is null
                        and h.scope = 'item'
                        and h.subject = "d"."id"::text
                        and h.table_name in ('public.notes')
                    )
                  ) is true
                offset 0
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
                    table_name in ('public.things', 'public.notes')
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
                from "public"."notes" d
                where
                  "d"."thing" = "t"."id"
                  and exists (
                    select 1
                    from retention.extension e
                    where
                      e.table_name in ('public.notes')
                      and e.row_key = "d"."id"::text
                      and e.keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                  ) is true
                offset 0
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
                    table_name in ('public.things', 'public.notes')
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
                from "public"."notes" d
                where
                  "d"."thing" = "t"."id"
                  and exists (
                    select 1
                    from retention.dead_letter
                    where
                      table_name in ('public.notes')
                      and row_key = "d"."id"::text
                      and (
                        state = 'discarded'
                        or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                      )
                  ) is true
                offset 0
              )
            )
            else false
          end
        )
        and not (exists (select 1 from "public"."pins" x where "x"."thing" = "t"."id" offset 0)) then null
        else coalesce(
          coalesce(
            (
              case
                when (
                  select exists (select 1 from retention.hold where released_at is null)
                ) then coalesce(
                  case
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
                  end,
                  case
                    when exists (
                      select 1
                      from "public"."notes" d
                      where
                        "d"."thing" = "t"."id"
                        and (
                          exists (
                            select 1
                            from retention.hold h
                            where
                              h.released_at is null
                              and h.scope = 'user'
                              and h.subject = "d"."author"::text
                          )
                          or exists (
                            select 1
                            from retention.hold h
                            where
                              h.released_at is null
                              and h.scope = 'item'
                              and h.subject = "d"."id"::text
                              and h.table_name in ('public.notes')
                          )
                        ) is true
                      offset 0
                    ) then 'held by public.notes'
                  end
                )
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
                        table_name in ('public.things', 'public.notes')
                        and keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                    )
                ) then coalesce(
                  case
                    when exists (
                      select 1
                      from retention.extension e
                      where
                        e.table_name in ('public.things')
                        and e.row_key = "t"."id"::text
                        and e.keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                    ) then 'extended'
                  end,
                  case
                    when exists (
                      select 1
                      from "public"."notes" d
                      where
                        "d"."thing" = "t"."id"
                        and exists (
                          select 1
                          from retention.extension e
                          where
                            e.table_name in ('public.notes')
                            and e.row_key = "d"."id"::text
                            and e.keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                        ) is true
                      offset 0
                    ) then 'extended by public.notes'
                  end
                )
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
                        table_name in ('public.things', 'public.notes')
                        and (
                          state = 'discarded'
                          or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                        )
                    )
                ) then coalesce(
                  case
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
                  end,
                  case
                    when exists (
                      select 1
                      from "public"."notes" d
                      where
                        "d"."thing" = "t"."id"
                        and exists (
                          select 1
                          from retention.dead_letter
                          where
                            table_name in ('public.notes')
                            and row_key = "d"."id"::text
                            and (
                              state = 'discarded'
                              or (
                                state = 'open'
                                and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz
                              )
                            )
                        ) is true
                      offset 0
                    ) then 'dead_letter by public.notes'
                  end
                )
              end
            ),
            case
              when exists (
                select 1
                from "public"."pins" x
                where "x"."thing" = "t"."id"
                offset 0
              ) then 'referenced by public.pins'
            end,
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
  below as materialized (
    with recursive
      b (n, o, c, r) as (
        select 0, t.tableoid, j.c, j.n
        from judged j join only "public"."things" t on t.ctid = j.c
        where j.stays is null
        union
        select x.n, x.o, x.c, x.r
        from
          b
          cross join lateral (
            select 1 as n, d.o, d.c, b.r
            from
              (select 1) one
              cross join lateral (
                select p.*
                from "public"."things" p
                where p.tableoid = "b"."o" and p.ctid = "b"."c"
                offset 0
              ) p
              cross join lateral (
                select d.tableoid as o, d.ctid as c
                from "public"."notes" d
                where "d"."thing" = "p"."id"
                offset 0
              ) d
            where b.n = 0
          ) x
        where x.n > 0
      )
    select n, o, c, min(r) as r
    from b
    group by n, o, c
  ),
  d1 as materialized (
    select
      b.r,
      count(*) as n,
      coalesce(
        sum(
          (
            case
              when coalesce("d"."file"::text, '') <> '' then coalesce(
                (
                  case
                    when "d"."bytes" is not null then least(greatest("d"."bytes"::numeric, 0), 5000000000000)
                  end
                ),
                0
              )
              else 0
            end
          )
        ),
        0
      ) as bytes,
      coalesce(sum((case when coalesce("d"."file"::text, '') <> '' then 1 else 0 end)), 0) as files,
      encode(
        sha256(
          coalesce(
            string_agg(sha256(convert_to("d"."id"::text, 'UTF8')), '' order by "d"."id"::text collate "C"),
            ''
          )
        ),
        'hex'
      ) as keys
    from
      below b
      cross join lateral (
        select d.*
        from "public"."notes" d
        where d.tableoid = b.o and d.ctid = b.c
        offset 0
      ) d
    where b.n = 1
    group by b.r
  ),
  going as materialized (
    select
      j.n,
      j.label,
      j.key,
      j.clk,
      "j"."bytes" + coalesce("d1"."bytes", 0) as bytes,
      "j"."files" + coalesce("d1"."files", 0) as files,
      coalesce("d1".n, 0) as "n1",
      jsonb_build_array(
        jsonb_build_array(coalesce("d1".n, 0), coalesce("d1".keys, encode(sha256(''), 'hex')))
      ) as along
    from judged j left join "d1" on "d1".r = j.n
    where j.stays is null
  )
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
  (select jsonb_build_object('public.notes', coalesce(sum("n1"), 0)) from going) as dependants,
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
    ‹{"complete":true,"expired":2,"bytes":10,"files":1,"byRule":{"all":{"expired":2,"bytes":10,"files":1}},"dependants":{"public.notes":1},"rowsSha256":"15e02122f6f4e1bb4dd4b36bd8a87893a41e1ace8c00df7ae137079e1f0ad57e","detached":{},"kept":{"held":0,"extended":0,"dead_letter":0,"referenced":1,"not_expired":0,"condition":0,"newest":0,"one_of_period":0,"unnoticed":0,"unknown_rule":0,"busy":0,"changed":0},"keptBelow":{"referenced":{"public.pins":1}},"mayFollow":0,"blockers":[],"partitions":[],"sampleKeys":["00000000-0000-4000-8000-000000000001","00000000-0000-4000-8000-000000000003"],"oldest":"2026-01-20T02:00:00.000000Z","newest":"2026-01-20T02:00:00.000000Z","estimatedRuns":1,"approvable":{"digest":"cb85595ae432d49023defa33630ce729789c8f9761dfaeac17851ec15fbfa59c","expiresAt":"2026-03-02T02:00:00.000Z"}}›::jsonb,
    ‹{"held":0,"extended":0,"dead_letter":0,"referenced":1,"not_expired":0,"condition":0,"newest":0,"one_of_period":0,"unnoticed":0,"unknown_rule":0,"busy":0,"changed":0}›::jsonb,
    ‹within_sla›
  );
