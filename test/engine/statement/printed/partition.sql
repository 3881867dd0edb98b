-- one request

-- as before: select fence::text, to_char(as_of at time zone 'UTC', 'YYYY-

with recursive
  asked as materialized (
    select d.n, d.goes, c.oid, coalesce(pg_partition_root(c.oid)::oid, c.oid) as root
    from
      jsonb_to_recordset(
        ‹[{"n":0,"schema":"public","name":"visits","goes":true}]›::jsonb
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
        coalesce(replace(q.value, ‹"public"."visits"›, (select relid::regclass::text from leaf)), q.value)
      ) as x
    from
      jsonb_each_text(
        ‹{"0":"select 1 from only \"public\".\"visits\" t where \"t\".\"at\" < '2020-01-01Z'::timestamptz\n      order by \"t\".\"at\", \"t\".\"id\", \"t\".\"at\" limit 1"}›::jsonb
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
      from jsonb_array_elements_text(‹["uuid","timestamptz"]›::jsonb) y (t)
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
    ),
    'partitioning',
    (
      select
        jsonb_build_object(
          'strategy',
          pt.partstrat,
          'columns',
          (
            select coalesce(jsonb_agg(coalesce(a.attname, '(expression)') order by k.ord), '[]')
            from
              unnest(pt.partattrs::int2[]) with ordinality k (attnum, ord)
              left join pg_attribute a on a.attrelid = pt.partrelid
              and a.attnum = k.attnum
              and k.attnum > 0
          ),
          'grant',
          (
            select to_jsonb(g)
            from retention.partition_grant g, pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.oid = pt.partrelid and g.table_name = n.nspname || '.' || c.relname
          ),
          'shut',
          coalesce(
            jsonb_agg(b.relation::text order by b.schema_name, b.table_name) filter (where not b.may),
            '[]'
          ),
          'pending',
          (
            select coalesce(jsonb_agg(i.inhrelid::regclass::text), '[]')
            from pg_inherits i
            where i.inhparent = pt.partrelid and i.inhdetachpending
          ),
          'foreign',
          coalesce(jsonb_agg(b.relation::text) filter (where b.kind <> 'r'), '[]'),
          'not_owned',
          coalesce(jsonb_agg(b.relation::text) filter (where b.obstacle = 'not_owned'), '[]'),
          'longest_days',
          max(
            extract(epoch from b.upper_bound::timestamp - b.lower_bound::timestamp) / 86400
          ) filter (
            where
              pt.partnatts = 1
              and b.upper_bound ~ '^\d{4,}-\d\d-\d\d'
              and b.lower_bound ~ '^\d{4,}-\d\d-\d\d'
          )
        )
      from pg_partitioned_table pt left join retention.partitions (pt.partrelid) b on true
      where pt.partrelid = (select oid from asked where n = 0)
      group by pt.partrelid, pt.partstrat, pt.partattrs::int2[], pt.partnatts
    )
  ) as facts;

-- as before: select retention.declare_version(?, ?, ?, ?::jsonb, ?, ?::js

select
  retention.admission (
    ‹visits›,
    ‹hash›,
    ‹hash›,
    ‹{"all":2592000}›::jsonb,
    least(‹2026-03-01T02:00:00.000Z›::timestamptz, retention.clock ()),
    make_interval(secs => ‹0›::float8),
    ‹"public"."visits"›
  ) || (
    select
      jsonb_build_object(
        'estimate',
        case
          when bool_or(c.reltuples < 0 and pg_relation_size(c.oid) > 0) then -1
          else coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
        end
      )
    from
      pg_namespace n
      join pg_class r on r.relnamespace = n.oid
      cross join lateral retention.parts_of (r.oid) t
      join pg_class c on c.oid = t.relid
    where n.nspname = ‹public› and r.relname = ‹visits› and t.isleaf
  ) as admission;

with
  counted as materialized (
    select
      (
        select coalesce(sum(n), 0)
        from
          unnest(
            retention.counts_of (
              ‹statement 1›,
              array(
                select b.relation::oid
                from retention.partitions (to_regclass(‹"public"."visits"›)) b
                where
                  b.lower_bound is null
                  or b.lower_bound::timestamptz < ‹2026-01-30T02:00:00.000Z›::timestamptz
              ),
              100001
            )
          ) n
      ) as n
  )
select n::text as due, set_config('lapse.due', (n > 0)::text, true)
from counted;

-- statement 1 of the one above
select 1
from only "lapse"."any leaf" t
where "t"."at" < '2026-01-30T02:00:00.000Z'::timestamptz and isfinite("t"."at");

-- as before: select (case when current_setting('lapse.due', true) = 'fals


-- one request, READ ONLY

select
  b.schema_name,
  b.table_name,
  b.lower_bound as lower,
  b.upper_bound as upper,
  b.obstacle,
  b.upper_bound is not null
  and coalesce(b.upper_bound::timestamptz <= ‹2026-01-30T02:00:00.000Z›::timestamptz, false) as expired
from retention.partitions (to_regclass(‹"public"."visits"›)) b
where b.lower_bound is null or b.lower_bound::timestamptz < ‹2026-01-30T02:00:00.000Z›::timestamptz
order by b.lower_bound::timestamptz nulls last, b.schema_name, b.table_name;


-- one request

select
  d.picked::text,
  d.deleted::text,
  d.obstacle,
  0 as dependants_deleted,
  0 as files,
  0 as bytes,
  '{}'::jsonb as by_rule,
  '{}'::jsonb as kept,
  '{"ended": true, "clock": null, "key": []}'::jsonb as after
from
  retention.drop_partition (
    ‹visits›,
    ‹1›::bigint,
    ‹id-1›::uuid,
    ‹1›::int,
    ‹hash›,
    ‹"public"."visits"›,
    ‹"public"."visits_2025_12"›,
    ‹2026-01-30T02:00:00.000Z›::timestamptz,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    ‹all›,
    ‹hash›::bigint,
    ‹retention›
  ) d;


-- one request

select
  retention.enter_batch (
    ‹visits›,
    ‹1›::bigint,
    ‹id-1›::uuid,
    ‹2›::int,
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
    select "t"."at" as clk, "t"."id" as "k0", "t"."at" as "k1"
    from only "public"."visits_2026_01" t
    where "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
    order by "t"."at", "t"."id", "t"."at"
    offset ‹0›::int
    limit 1
  ),
  gone as (
    delete from only "public"."visits_2026_01" t
    where
      "t"."at" <= (select coalesce((select clk from last), ‹2026-01-30T02:00:00.000Z›::timestamptz))
      and (
        not exists (select 1 from last)
        or ("t"."at", "t"."id", "t"."at") <= (
          (select clk from last),
          (select "k0" from last),
          (select "k1" from last)
        )
      )
      and current_setting('lapse.batch', true) = ‹id-1:2›
      and (
        select pg_partition_root(to_regclass('"public"."visits_2026_01"')) = to_regclass('"public"."visits"')
      )
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
                and h.subject = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
                and h.table_name in ('public.visits', 'public.visits_2026_01')
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
                  table_name in ('public.visits', 'public.visits_2026_01')
                  and keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
              )
          ) then exists (
            select 1
            from retention.extension e
            where
              e.table_name in ('public.visits', 'public.visits_2026_01')
              and e.row_key = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
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
                  table_name in ('public.visits', 'public.visits_2026_01')
                  and (
                    state = 'discarded'
                    or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                  )
              )
          ) then exists (
            select 1
            from retention.dead_letter
            where
              table_name in ('public.visits', 'public.visits_2026_01')
              and row_key = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
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
      jsonb_build_array("t"."id"::text, "t"."at"::text)::text as key,
      (0)::bigint as bytes
  ),
  queued as (select 1 where false),
  totals as materialized (
    select
      count(*) as deleted,
      coalesce(array_agg(key), '{}') as keys,
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
            when x.full_batch then ‹1›::int
            else (
              select count(*)::int
              from
                (
                  select 1
                  from only "public"."visits_2026_01" t
                  where "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
                  order by "t"."at", "t"."id", "t"."at"
                  limit ‹1›::int
                ) x
            )
          end as n,
          x.full_batch
        from (select exists (select 1 from last) as full_batch) x
      ) x
      left join (
        select clk::text as clock, jsonb_build_array("k0"::text, "k1"::text) as key
        from last
      ) l on true
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
                            and h.subject = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
                            and h.table_name in ('public.visits', 'public.visits_2026_01')
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
                            table_name in ('public.visits', 'public.visits_2026_01')
                            and keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                        )
                    ) then case
                      when exists (
                        select 1
                        from retention.extension e
                        where
                          e.table_name in ('public.visits', 'public.visits_2026_01')
                          and e.row_key = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
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
                            table_name in ('public.visits', 'public.visits_2026_01')
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
                          table_name in ('public.visits', 'public.visits_2026_01')
                          and row_key = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
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
            from only "public"."visits_2026_01" t
            where
              (select picked from at) <> (select deleted from totals)
              and t.ctid = any (
                array(
                  select t.ctid
                  from only "public"."visits_2026_01" t
                  where
                    "t"."at" <= (
                      select coalesce((select clk from last), ‹2026-01-30T02:00:00.000Z›::timestamptz)
                    )
                    and (
                      not exists (select 1 from last)
                      or ("t"."at", "t"."id", "t"."at") <= (
                        (select clk from last),
                        (select "k0" from last),
                        (select "k1" from last)
                      )
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
    'public.visits',
    x.keys,
    null,
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
    select "t"."at" as clk, "t"."id" as "k0", "t"."at" as "k1"
    from only "public"."visits_2026_01" t
    where
      "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
      and ("t"."at", "t"."id", "t"."at") > (
        ‹2026-01-10 00:00:00+00›::timestamptz,
        ‹00000000-0000-4000-8000-000000000001›::uuid,
        ‹2026-01-10 00:00:00+00›::timestamptz
      )
    order by "t"."at", "t"."id", "t"."at"
    offset ‹0›::int
    limit 1
  ),
  gone as (
    delete from only "public"."visits_2026_01" t
    where
      ("t"."at", "t"."id", "t"."at") > (
        ‹2026-01-10 00:00:00+00›::timestamptz,
        ‹00000000-0000-4000-8000-000000000001›::uuid,
        ‹2026-01-10 00:00:00+00›::timestamptz
      )
      and "t"."at" <= (select coalesce((select clk from last), ‹2026-01-30T02:00:00.000Z›::timestamptz))
      and (
        not exists (select 1 from last)
        or ("t"."at", "t"."id", "t"."at") <= (
          (select clk from last),
          (select "k0" from last),
          (select "k1" from last)
        )
      )
      and current_setting('lapse.batch', true) = ‹id-1:3›
      and (
        select pg_partition_root(to_regclass('"public"."visits_2026_01"')) = to_regclass('"public"."visits"')
      )
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
                and h.subject = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
                and h.table_name in ('public.visits', 'public.visits_2026_01')
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
                  table_name in ('public.visits', 'public.visits_2026_01')
                  and keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
              )
          ) then exists (
            select 1
            from retention.extension e
            where
              e.table_name in ('public.visits', 'public.visits_2026_01')
              and e.row_key = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
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
                  table_name in ('public.visits', 'public.visits_2026_01')
                  and (
                    state = 'discarded'
                    or (state = 'open' and next_attempt_at > ‹2026-03-01T02:00:00.000Z›::timestamptz)
                  )
              )
          ) then exists (
            select 1
            from retention.dead_letter
            where
              table_name in ('public.visits', 'public.visits_2026_01')
              and row_key = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
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
      jsonb_build_array("t"."id"::text, "t"."at"::text)::text as key,
      (0)::bigint as bytes
  ),
  queued as (select 1 where false),
  totals as materialized (
    select
      count(*) as deleted,
      coalesce(array_agg(key), '{}') as keys,
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
            when x.full_batch then ‹1›::int
            else (
              select count(*)::int
              from
                (
                  select 1
                  from only "public"."visits_2026_01" t
                  where
                    "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
                    and ("t"."at", "t"."id", "t"."at") > (
                      ‹2026-01-10 00:00:00+00›::timestamptz,
                      ‹00000000-0000-4000-8000-000000000001›::uuid,
                      ‹2026-01-10 00:00:00+00›::timestamptz
                    )
                  order by "t"."at", "t"."id", "t"."at"
                  limit ‹1›::int
                ) x
            )
          end as n,
          x.full_batch
        from (select exists (select 1 from last) as full_batch) x
      ) x
      left join (
        select clk::text as clock, jsonb_build_array("k0"::text, "k1"::text) as key
        from last
      ) l on true
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
                            and h.subject = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
                            and h.table_name in ('public.visits', 'public.visits_2026_01')
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
                            table_name in ('public.visits', 'public.visits_2026_01')
                            and keep_until > ‹2026-03-01T02:00:00.000Z›::timestamptz
                        )
                    ) then case
                      when exists (
                        select 1
                        from retention.extension e
                        where
                          e.table_name in ('public.visits', 'public.visits_2026_01')
                          and e.row_key = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
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
                            table_name in ('public.visits', 'public.visits_2026_01')
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
                          table_name in ('public.visits', 'public.visits_2026_01')
                          and row_key = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
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
            from only "public"."visits_2026_01" t
            where
              (select picked from at) <> (select deleted from totals)
              and t.ctid = any (
                array(
                  select t.ctid
                  from only "public"."visits_2026_01" t
                  where
                    ("t"."at", "t"."id", "t"."at") > (
                      ‹2026-01-10 00:00:00+00›::timestamptz,
                      ‹00000000-0000-4000-8000-000000000001›::uuid,
                      ‹2026-01-10 00:00:00+00›::timestamptz
                    )
                    and "t"."at" <= (
                      select coalesce((select clk from last), ‹2026-01-30T02:00:00.000Z›::timestamptz)
                    )
                    and (
                      not exists (select 1 from last)
                      or ("t"."at", "t"."id", "t"."at") <= (
                        (select clk from last),
                        (select "k0" from last),
                        (select "k1" from last)
                      )
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
    ‹3›::int,
    'delete',
    ‹retention›::text,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    'public.visits',
    x.keys,
    null,
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
  retention.confirm_batch (‹id-1›::uuid, ‹3›::int, null) as confirmed,
  extract(
    epoch
    from statement_timestamp() - current_setting('lapse.entered', true)::timestamptz
  )::float8 * 1000 as statement_ms;


-- one request, READ ONLY

select
  (
    select coalesce(sum(n), 0)
    from
      unnest(
        retention.counts_of (
          ‹statement 1›,
          array(
            select x.leaf
            from
              (
                select
                  array(
                    select b.relation::oid
                    from retention.partitions (to_regclass(‹"public"."visits"›)) b
                    where
                      b.lower_bound is null
                      or b.lower_bound::timestamptz < ‹2026-01-30T02:00:00.000Z›::timestamptz
                  ) as leaves
              ) l
              cross join lateral unnest(
                l.leaves,
                retention.counts_of (‹statement 2›, l.leaves, 9223372036854775807)
              ) x (leaf, n)
            where x.n > 0
          ),
          1
        )
      ) n
  ) > 0 as left,
  ‹2026-03-01T02:00:00.000Z›::timestamptz as as_of;

-- statement 1 of the one above
select 1
from only "lapse"."any leaf" t
where
  "t"."at" < '2026-01-30T02:00:00.000Z'::timestamptz
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
            and h.subject = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
            and h.table_name in ('public.visits', 'lapse.any leaf')
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
              table_name in ('public.visits', 'lapse.any leaf')
              and keep_until > '2026-03-01T02:00:00.000Z'::timestamptz
          )
      ) then exists (
        select 1
        from retention.extension e
        where
          e.table_name in ('public.visits', 'lapse.any leaf')
          and e.row_key = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
          and e.keep_until > '2026-03-01T02:00:00.000Z'::timestamptz
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
              table_name in ('public.visits', 'lapse.any leaf')
              and (
                state = 'discarded'
                or (state = 'open' and next_attempt_at > '2026-03-01T02:00:00.000Z'::timestamptz)
              )
          )
      ) then exists (
        select 1
        from retention.dead_letter
        where
          table_name in ('public.visits', 'lapse.any leaf')
          and row_key = jsonb_build_array("t"."id"::text, "t"."at"::text)::text
          and (
            state = 'discarded'
            or (state = 'open' and next_attempt_at > '2026-03-01T02:00:00.000Z'::timestamptz)
          )
      )
      else false
    end
  )
  and not false
order by "t"."at", "t"."id", "t"."at"
limit 1;

-- statement 2 of the one above
select 1
from only "lapse"."any leaf" t
where "t"."at" < '2026-01-30T02:00:00.000Z'::timestamptz
order by "t"."at", "t"."id", "t"."at"
limit 1;


-- one request

select
  retention.end_run (
    ‹visits›,
    ‹id-1›::uuid,
    ‹succeeded›,
    ‹null›,
    ‹2026-03-01T02:00:00.000Z›::timestamptz,
    ‹4›::bigint,
    ‹{"held":0,"extended":0,"dead_letter":0,"referenced":0,"not_expired":0,"condition":0,"newest":0,"one_of_period":0,"unnoticed":0,"unknown_rule":0,"busy":0,"changed":0}›::jsonb,
    ‹within_sla›,
    ‹{}›::jsonb
  );

select batches, deleted::text, dependants_deleted::text, files_queued::text, bytes_freed::text, by_rule
from retention.run
where id = ‹id-1›::uuid;
