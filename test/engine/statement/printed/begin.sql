-- one request

select
  fence::text,
  to_char(as_of at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as as_of,
  refused,
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
  ) as progress,
  jsonb_build_object(
    'neon',
    current_setting('neon.timeline_id', true) is not null,
    'connections',
    current_setting('max_connections')::int,
    'workers',
    least(current_setting('max_worker_processes')::int, current_setting('max_parallel_workers')::int)
  ) as server
from
  retention.begin_run (
    ‹things›,
    ‹id-1›::uuid,
    ‹hash›,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    ‹cron›,
    ‹cron›,
    ‹id-2›,
    ‹retention›
  );

with recursive
  asked as materialized (
    select d.n, d.goes, c.oid, coalesce(pg_partition_root(c.oid)::oid, c.oid) as root
    from
      jsonb_to_recordset(
        ‹[{"n":0,"schema":"public","name":"things","goes":true}]›::jsonb
      ) d (n int, schema text, name text, goes boolean)
      left join (pg_class c join pg_namespace s on s.oid = c.relnamespace) on s.nspname = d.schema
      and c.relname = d.name
      and c.relkind in ('r', 'p', 'v', 'm', 'f')
  ),
  links as materialized (
    select
      f.*,
      coalesce(pg_partition_root(f.conrelid)::oid, f.conrelid) as from_root,
      coalesce(pg_partition_root(f.confrelid)::oid, f.confrelid) as to_root
    from pg_constraint f
    where f.contype = 'f' and f.conparentid = 0
  ),
  going (root) as (
    select root
    from asked
    where goes and oid is not null
    union
    select f.from_root
    from going g join links f on f.to_root = g.root and f.confdeltype = 'c'
  ),
  plans as materialized (
    select q.key as part, q.value as query, retention.explained (q.value) as x
    from jsonb_each_text(‹{}›::jsonb) q
  ),
  reading as materialized (
    select distinct
      q.part,
      c.oid,
      coalesce(pg_partition_root(c.oid)::oid, c.oid) as root,
      n ->> 'Alias' as alias
    from
      plans q
      cross join lateral jsonb_path_query(q.x -> 'plan', 'strict $.** ? (exists (@."Relation Name"))') n
      join pg_namespace s on s.nspname = n ->> 'Schema'
      join pg_class c on c.relnamespace = s.oid
      and c.relname = n ->> 'Relation Name'
  ),
  leaf as materialized (
    select t.relid
    from asked a cross join lateral retention.parts_of (a.oid) t
    where a.n = 0 and t.isleaf and t.level > 0
    limit 1
  ),
  walks as materialized (
    select
      q.key as part,
      retention.planned_walk (
        coalesce(replace(q.value, ‹"public"."things"›, (select relid::regclass::text from leaf)), q.value)
      ) as x
    from
      jsonb_each_text(
        ‹{"0":"select 1 from only \"public\".\"things\" t where \"t\".\"at\" < '2020-01-01Z'::timestamptz\n      order by \"t\".\"at\", \"t\".\"id\" limit 1"}›::jsonb
      ) q
  ),
  wanted as materialized (
    select root
    from asked
    where oid is not null
    union
    select root
    from going
    union
    select root
    from reading
    union
    select f.from_root
    from links f join going g on f.to_root = g.root
    union
    select f.from_root
    from links f join asked a on a.n = 0 and f.to_root = a.root
  ),
  parts as materialized (
    select root as oid, root
    from wanted
    union
    select t.relid::oid, w.root
    from wanted w cross join lateral retention.parts_of (w.root) t
  ),
  published as materialized (
    select schemaname, tablename
    from pg_publication_tables
    where exists (select 1 from pg_publication)
  ),
  described as materialized (
    select
      y.*,
      row_number() over (partition by y.root, y.own, y.facts order by y.label) as k,
      count(*) over (partition by y.root) as parts
    from
      (
        select
          x.root,
          jsonb_build_object(
            'oid',
            x.oid::text,
            'root',
            x.root::text,
            'schema',
            s.nspname,
            'name',
            c.relname
          ) as called,
          jsonb_build_object(
            'kind',
            c.relkind,
            'has_heirs',
            exists (
              select 1
              from pg_inherits h join pg_class hc on hc.oid = h.inhrelid
              where h.inhparent = x.oid and not hc.relispartition
            ),
            'rls',
            row_security_active(x.oid),
            'rules',
            coalesce(
              (
                select
                  jsonb_agg(
                    jsonb_build_object(
                      'name',
                      w.rulename,
                      'on',
                      case w.ev_type
                        when '1' then 'select'
                        when '2' then 'update'
                        when '3' then 'insert'
                        else 'delete'
                      end
                    )
                  )
                from pg_rewrite w
                where w.ev_class = x.oid and w.ev_enabled <> 'D'
              ),
              '[]'
            ),
            'may',
            jsonb_build_object(
              'use',
              has_schema_privilege(s.oid, 'USAGE'),
              'select',
              has_table_privilege(x.oid, 'SELECT'),
              'delete',
              has_table_privilege(x.oid, 'DELETE'),
              'update',
              has_any_column_privilege(x.oid, 'UPDATE')
            ),
            'unidentified',
            c.relkind = 'r'
            and (
              c.relreplident = 'n'
              or c.relreplident = 'd'
              and not exists (select 1 from pg_index i where i.indrelid = x.oid and i.indisprimary)
            )
            and exists (
              select 1
              from
                published b
                join pg_namespace bs on bs.nspname = b.schemaname
                join pg_class bc on bc.relnamespace = bs.oid
                and bc.relname = b.tablename
              where bc.oid in (x.oid, x.root)
            ),
            'columns',
            case
              when (
                x.oid = x.root
                or x.oid in (select oid from asked)
              ) then (
                select
                  coalesce(
                    jsonb_object_agg(
                      a.attname,
                      jsonb_build_object(
                        'type',
                        format_type(a.atttypid, a.atttypmod),
                        'plain',
                        format_type(a.atttypid, null),
                        'type_oid',
                        a.atttypid::text,
                        'base_oid',
                        (
                          select
                            case
                              when d.typtype <> 'd' then d.oid
                              else (
                                with recursive
                                  y (oid, below) as (
                                    select d.oid, d.typbasetype
                                    union all
                                    select t.oid, t.typbasetype
                                    from
                                      y
                                      cross join lateral (
                                        select *
                                        from pg_type
                                        where oid = y.below
                                        offset 0
                                      ) t
                                    where y.below <> 0
                                  )
                                select y.oid
                                from y
                                where y.below = 0
                              )
                            end
                          from pg_type d
                          where d.oid = a.atttypid
                        )::text,
                        'base',
                        format_type(
                          (
                            select
                              case
                                when d.typtype <> 'd' then d.oid
                                else (
                                  with recursive
                                    y (oid, below) as (
                                      select d.oid, d.typbasetype
                                      union all
                                      select t.oid, t.typbasetype
                                      from
                                        y
                                        cross join lateral (
                                          select *
                                          from pg_type
                                          where oid = y.below
                                          offset 0
                                        ) t
                                      where y.below <> 0
                                    )
                                  select y.oid
                                  from y
                                  where y.below = 0
                                )
                              end
                            from pg_type d
                            where d.oid = a.atttypid
                          ),
                          null
                        ),
                        'may_update',
                        has_column_privilege(x.oid, a.attnum, 'UPDATE'),
                        'not_null',
                        a.attnotnull
                        and not exists (
                          select 1
                          from pg_constraint k
                          where
                            k.conrelid = x.oid
                            and k.contype = 'n'
                            and k.conkey = array[a.attnum]
                            and not k.convalidated
                        ),
                        'generated',
                        a.attgenerated <> ''
                        or a.attidentity <> '',
                        'unique',
                        exists (
                          select 1
                          from pg_index i
                          where
                            i.indrelid = x.oid
                            and i.indisunique
                            and (
                              a.attnum = any (i.indkey::int2[])
                              or exists (
                                select 1
                                from pg_depend d
                                where
                                  d.classid = 'pg_class'::regclass
                                  and d.objid = i.indexrelid
                                  and d.refclassid = 'pg_class'::regclass
                                  and d.refobjid = x.oid
                                  and d.refobjsubid = a.attnum
                              )
                            )
                        ),
                        'primary',
                        exists (
                          select 1
                          from pg_index i
                          where i.indrelid = x.oid and i.indisprimary and a.attnum = any (i.indkey::int2[])
                        ),
                        'names_files',
                        exists (
                          select 1
                          from pg_index i
                          where
                            i.indrelid = x.oid
                            and pg_get_expr(i.indexprs, i.indrelid) like '%blob_path(%'
                            and (
                              a.attnum = any (i.indkey::int2[])
                              or exists (
                                select 1
                                from pg_depend d
                                where
                                  d.classid = 'pg_class'::regclass
                                  and d.objid = i.indexrelid
                                  and d.refclassid = 'pg_class'::regclass
                                  and d.refobjid = x.oid
                                  and d.refobjsubid = a.attnum
                              )
                            )
                        ),
                        'constraints',
                        (
                          select
                            coalesce(
                              jsonb_agg(
                                jsonb_build_object('name', k.conname, 'kind', k.contype)
                                order by k.conname
                              ),
                              '[]'
                            )
                          from pg_constraint k
                          where
                            k.conrelid = x.oid
                            and k.contype in ('c', 'f', 'x')
                            and a.attnum = any (k.conkey)
                        )
                      )
                    ),
                    '{}'
                  )
                from pg_attribute a
                where a.attrelid = x.oid and a.attnum > 0 and not a.attisdropped
              )
              else '{}'
            end,
            'indexes',
            case
              when (x.oid = x.root or x.oid in (select oid from asked))
              or x.root <> (select root from asked where n = 0)
              or x.oid in (
                select f.conrelid
                from links f
              ) then (
                select
                  coalesce(
                    jsonb_agg(
                      jsonb_build_object(
                        'unique',
                        i.indisunique,
                        'method',
                        am.amname,
                        'partial',
                        pg_get_expr(i.indpred, i.indrelid),
                        'columns',
                        (
                          select coalesce(jsonb_agg(coalesce(a.attname, '') order by k.ord), '[]')
                          from
                            unnest((i.indkey::int2[]) [0:i.indnkeyatts - 1]) with ordinality k (attnum, ord)
                            left join pg_attribute a on a.attrelid = i.indrelid
                            and a.attnum = k.attnum
                            and k.attnum > 0
                        )
                      )
                    ),
                    '[]'
                  )
                from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam
                where i.indrelid = x.oid and i.indisvalid and i.indisready and am.amname in ('btree', 'hash')
              )
              else '[]'
            end,
            'triggers',
            coalesce(
              (
                select
                  jsonb_agg(
                    jsonb_build_object(
                      'name',
                      g.tgname,
                      'schema',
                      fn.nspname,
                      'function',
                      fp.proname,
                      'each_row',
                      (g.tgtype & 1) = 1,
                      'conditional',
                      g.tgqual is not null,
                      'columns',
                      (
                        select coalesce(jsonb_agg(coalesce(a.attname, '') order by k.ord), '[]')
                        from
                          unnest(g.tgattr::int2[]) with ordinality k (attnum, ord)
                          left join pg_attribute a on a.attrelid = x.oid
                          and a.attnum = k.attnum
                          and k.attnum > 0
                      ),
                      'on',
                      to_jsonb(
                        array_remove(
                          array[
                            case when (g.tgtype & 4) = 4 then 'insert' end,
                            case when (g.tgtype & 16) = 16 then 'update' end,
                            case when (g.tgtype & 8) = 8 then 'delete' end
                          ],
                          null
                        )
                      )
                    )
                    order by g.tgname
                  )
                from
                  pg_trigger g
                  join pg_proc fp on fp.oid = g.tgfoid
                  join pg_namespace fn on fn.oid = fp.pronamespace
                where
                  g.tgrelid = x.oid
                  and (not g.tgisinternal or g.tgparentid <> 0)
                  and g.tgenabled in ('O', 'A')
                  and (g.tgparentid = 0 or fn.nspname = 'retention')
              ),
              '[]'
            )
          ) as facts,
          s.nspname || '.' || c.relname as label,
          x.oid = x.root
          or x.oid in (select a.oid from asked a where a.oid is not null)
          or x.oid in (select r.oid from reading r)
          or x.oid in (select f.conrelid from links f)
          or x.oid in (select f.confrelid from links f) as own
        from parts x join pg_class c on c.oid = x.oid join pg_namespace s on s.oid = c.relnamespace
      ) y
  )
select
  jsonb_build_object(
    'role',
    current_user,
    'track_counts',
    current_setting('track_counts') = 'on',
    'declared',
    (
      select
        jsonb_agg(
          case when oid is not null then jsonb_build_object('oid', oid::text, 'root', root::text) end
          order by n
        )
      from asked
    ),
    'relations',
    coalesce(
      (
        select jsonb_agg(x.facts || x.called || jsonb_build_object('parts', x.parts) order by x.label)
        from described x
        where x.k <= 4 or x.own
      ),
      '[]'
    ),
    'references',
    coalesce(
      (
        select
          jsonb_agg(
            jsonb_build_object(
              'name',
              f.conname,
              'at',
              f.conrelid::text,
              'from',
              f.from_root::text,
              'to',
              f.to_root::text,
              'columns',
              (
                select coalesce(jsonb_agg(coalesce(a.attname, '') order by k.ord), '[]')
                from
                  unnest(f.conkey) with ordinality k (attnum, ord)
                  left join pg_attribute a on a.attrelid = f.conrelid
                  and a.attnum = k.attnum
                  and k.attnum > 0
              ),
              'to_columns',
              (
                select coalesce(jsonb_agg(coalesce(a.attname, '') order by k.ord), '[]')
                from
                  unnest(f.confkey) with ordinality k (attnum, ord)
                  left join pg_attribute a on a.attrelid = f.confrelid
                  and a.attnum = k.attnum
                  and k.attnum > 0
              ),
              'on_delete',
              f.confdeltype
            )
            order by f.conname
          )
        from links f
        where f.to_root in (select root from going union select root from asked where n = 0)
      ),
      '[]'
    ),
    'types',
    (
      select coalesce(jsonb_object_agg(y.t, to_regtype(y.t)::oid::text), '{}')
      from jsonb_array_elements_text(‹["uuid"]›::jsonb) y (t)
    ),
    'walks',
    (
      select
        coalesce(
          jsonb_object_agg(
            w.part,
            (
              select
                coalesce(
                  jsonb_agg(jsonb_build_object('node', n -> 'Node Type', 'filter', n -> 'Filter')),
                  '[]'
                )
              from jsonb_path_query(w.x -> 'plan', 'strict $.** ? (exists (@."Node Type"))') n
            )
          ),
          '{}'
        )
      from walks w
    ),
    'fragments',
    (
      select
        coalesce(
          jsonb_object_agg(
            q.part,
            jsonb_build_object(
              'state',
              q.x -> 'state',
              'message',
              q.x -> 'message',
              'reads',
              (
                select
                  coalesce(
                    jsonb_agg(jsonb_build_object('oid', r.oid::text, 'root', r.root::text, 'alias', r.alias)),
                    '[]'
                  )
                from reading r
                where r.part = q.part
              ),
              'calls',
              (
                select coalesce(jsonb_agg(distinct fn.nspname || '.' || fp.proname), '[]')
                from pg_proc fp join pg_namespace fn on fn.oid = fp.pronamespace
                where
                  fp.provolatile <> 'i'
                  and fn.nspname not in ('pg_catalog', 'information_schema')
                  and fp.proname in (
                    select coalesce(replace(m[1], '""', '"'), lower(m[2]))
                    from
                      (
                        select q.query as said
                        union all
                        select v #>> '{}'
                        from jsonb_path_query(q.x -> 'plan', 'strict $.** ? (@.type() == "string")') v
                      ) y
                      cross join lateral regexp_matches(
                        y.said,
                        '(?:"((?:[^"]|"")+)"|([[:alpha:]_][[:alnum:]_$]*))\s*\(',
                        'g'
                      ) m
                  )
              )
            )
          ),
          '{}'
        )
      from plans q
    ),
    'files',
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
          jsonb_to_recordset(‹[]›::jsonb) w (s text, t text, c text)
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
    )
  ) as facts;

select
  retention.declare_version (
    ‹things›,
    ‹hash›,
    ‹hash›,
    ‹{"all":2592000}›::jsonb,
    ‹cron (unreleased)›,
    ‹{"policy":{"name":"things","description":"things of the tests","justification":"because a test wants it so","ground":"test","schedule":{"run":"0 2 * * *"},"allowedSeconds":240,"table":{"schema":"public","name":"things"},"key":[{"column":"id","type":"uuid"}],"clock":{"column":"at","type":"timestamptz"},"strategy":{"kind":"delete"},"rules":[{"label":"all","keepFor":{"seconds":2592000},"match":{}}],"scope":{"organization":"org","user":"person"},"dependants":[],"files":[],"guard":{"rows":100000,"share":0.25,"multiple":10},"rollout":true,"quality":{"emptyClocks":0,"futureClocks":0,"aheadSeconds":300,"unique":[],"references":[],"orphans":0},"knownTriggers":[]},"environment":{}}›::jsonb
  )
from retention.policy_state
where policy = ‹things› and run_now = ‹id-1›::uuid;

select
  retention.admission (
    ‹things›,
    ‹hash›,
    ‹hash›,
    ‹{"all":2592000}›::jsonb,
    least(‹2026-03-01T02:00:00.000Z›::timestamptz, retention.clock ()),
    make_interval(secs => ‹0›::float8),
    ‹"public"."things"›
  ) as admission;

with
  counted as materialized (
    select
      (
        select count(*)
        from
          (
            select 1
            from only "public"."things" t
            where "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz and isfinite("t"."at")
            limit 100001
          ) x
      ) as n
  )
select n::text as due, set_config('lapse.due', (n > 0)::text, true)
from counted;

select
  (
    case
      when current_setting('lapse.due', true) = 'false'
      and exists (
        select 1
        from retention.policy_version
        where policy = ‹things› and version = ‹hash› and in_force_at is not null
      ) then retention.end_run (
        ‹things›,
        ‹id-1›::uuid,
        ‹succeeded›,
        ‹null›,
        ‹2026-03-01T02:00:00.000Z›::timestamptz,
        ‹0›::bigint,
        ‹{"held":0,"extended":0,"dead_letter":0,"referenced":0,"not_expired":0,"condition":0,"newest":0,"one_of_period":0,"unnoticed":0,"unknown_rule":0,"busy":0,"changed":0}›::jsonb,
        ‹within_sla›,
        ‹{}›::jsonb
      )::text
    end
  ) is not null as ended;
