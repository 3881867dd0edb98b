-- one request

-- as before: select fence::text, to_char(as_of at time zone 'UTC', 'YYYY-

select
  (
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
        from asked a cross join lateral pg_partition_tree(a.oid) t
        where a.n = 0 and t.isleaf and t.level > 0
        limit 1
      ),
      walks as materialized (
        select
          q.key as part,
          retention.planned_walk (
            coalesce(replace(q.value, ‹"public"."things"›, (select relid::text from leaf)), q.value)
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
        from wanted w cross join lateral pg_partition_tree(w.root) t
      ),
      published as materialized (
        select schemaname, tablename
        from pg_publication_tables
        where exists (select 1 from pg_publication)
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
            select
              jsonb_agg(
                jsonb_build_object(
                  'oid',
                  x.oid::text,
                  'root',
                  x.root::text,
                  'schema',
                  s.nspname,
                  'name',
                  c.relname,
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
                                select coalesce(nullif(t.typbasetype, 0), t.oid)::text
                                from pg_type t
                                where t.oid = a.atttypid
                              ),
                              'base',
                              (
                                select format_type(coalesce(nullif(t.typbasetype, 0), t.oid), null)
                                from pg_type t
                                where t.oid = a.atttypid
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
                    or x.root <> (
                      select root
                      from asked
                      where n = 0
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
                      from
                        pg_index i
                        join pg_class ic on ic.oid = i.indexrelid
                        join pg_am am on am.oid = ic.relam
                      where
                        i.indrelid = x.oid
                        and i.indisvalid
                        and i.indisready
                        and am.amname in ('btree', 'hash')
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
                )
              )
            from parts x join pg_class c on c.oid = x.oid join pg_namespace s on s.oid = c.relnamespace
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
                        jsonb_agg(
                          jsonb_build_object('oid', r.oid::text, 'root', r.root::text, 'alias', r.alias)
                        ),
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
                    from
                      pg_index i
                      join pg_class ic on ic.oid = i.indexrelid
                      join pg_am am on am.oid = ic.relam
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
      ) as facts
  ) || jsonb_build_object(
    'contents',
    jsonb_build_array(
      (
        with recursive
          asked as materialized (
            select d.n, d.goes, c.oid, coalesce(pg_partition_root(c.oid)::oid, c.oid) as root
            from
              jsonb_to_recordset(
                ‹[{"n":0,"schema":"public","name":"blobs","goes":true},{"n":1,"schema":"public","name":"things","goes":false}]›::jsonb
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
            from
              jsonb_each_text(
                ‹{"dependants.0":"select 1 from only \"public\".\"blobs\" t, \"public\".\"things\" d where \"d\".\"data\" = \"t\".\"id\""}›::jsonb
              ) q
          ),
          reading as materialized (
            select distinct
              q.part,
              c.oid,
              coalesce(pg_partition_root(c.oid)::oid, c.oid) as root,
              n ->> 'Alias' as alias
            from
              plans q
              cross join lateral jsonb_path_query(
                q.x -> 'plan',
                'strict $.** ? (exists (@."Relation Name"))'
              ) n
              join pg_namespace s on s.nspname = n ->> 'Schema'
              join pg_class c on c.relnamespace = s.oid
              and c.relname = n ->> 'Relation Name'
          ),
          leaf as materialized (
            select t.relid
            from asked a cross join lateral pg_partition_tree(a.oid) t
            where a.n = 0 and t.isleaf and t.level > 0
            limit 1
          ),
          walks as materialized (
            select
              q.key as part,
              retention.planned_walk (
                coalesce(replace(q.value, ‹"public"."blobs"›, (select relid::text from leaf)), q.value)
              ) as x
            from
              jsonb_each_text(
                ‹{"0":"select 1 from only \"public\".\"blobs\" t where \"t\".\"id\" < '2020-01-01Z'::timestamptz\n      order by \"t\".\"id\", \"t\".\"id\" limit 1"}›::jsonb
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
            from wanted w cross join lateral pg_partition_tree(w.root) t
          ),
          published as materialized (
            select schemaname, tablename
            from pg_publication_tables
            where exists (select 1 from pg_publication)
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
                select
                  jsonb_agg(
                    jsonb_build_object(
                      'oid',
                      x.oid::text,
                      'root',
                      x.root::text,
                      'schema',
                      s.nspname,
                      'name',
                      c.relname,
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
                                    select coalesce(nullif(t.typbasetype, 0), t.oid)::text
                                    from pg_type t
                                    where t.oid = a.atttypid
                                  ),
                                  'base',
                                  (
                                    select format_type(coalesce(nullif(t.typbasetype, 0), t.oid), null)
                                    from pg_type t
                                    where t.oid = a.atttypid
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
                        or x.root <> (
                          select root
                          from asked
                          where n = 0
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
                          from
                            pg_index i
                            join pg_class ic on ic.oid = i.indexrelid
                            join pg_am am on am.oid = ic.relam
                          where
                            i.indrelid = x.oid
                            and i.indisvalid
                            and i.indisready
                            and am.amname in ('btree', 'hash')
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
                    )
                  )
                from parts x join pg_class c on c.oid = x.oid join pg_namespace s on s.oid = c.relnamespace
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
                            jsonb_agg(
                              jsonb_build_object('oid', r.oid::text, 'root', r.root::text, 'alias', r.alias)
                            ),
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
                        from
                          pg_index i
                          join pg_class ic on ic.oid = i.indexrelid
                          join pg_am am on am.oid = ic.relam
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
          ) as facts
      )
    )
  ) as facts;

-- as before: select retention.declare_version(?, ?, ?, ?::jsonb, ?, ?::js

-- as before: select retention.admission(?, ?, ?, ?::jsonb, least(?::times

-- as before: with counted as materialized (select (select count(*) from (

-- as before: select (case when current_setting('lapse.due', true) = 'fals


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
              from only "public"."blobs" d
              where
                ("t"."data" = "d"."id")
                and (
                  exists (
                    select 1
                    from retention.hold h
                    where
                      h.released_at is null
                      and h.scope = 'item'
                      and h.subject = "d"."id"::text
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
        case
          when (
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
                  from only "public"."blobs" d
                  where
                    ("t"."data" = "d"."id")
                    and (
                      exists (
                        select 1
                        from retention.hold h
                        where
                          h.released_at is null
                          and h.scope = 'item'
                          and h.subject = "d"."id"::text
                          and h.table_name in ('public.blobs')
                      )
                    )
                )
              )
              else false
            end
          ) then 'held'
          when (
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
          ) then 'extended'
          when (
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
          ) then 'dead_letter'
          when false then 'referenced'
          when (
            "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
            and isfinite("t"."at")
          ) is not true then 'not_expired'
        end,
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
              from only "public"."blobs" d
              where
                ("t"."data" = "d"."id")
                and (
                  exists (
                    select 1
                    from retention.hold h
                    where
                      h.released_at is null
                      and h.scope = 'item'
                      and h.subject = "d"."id"::text
                      and h.table_name in ('public.blobs')
                  )
                )
            )
          )
          else false
        end
      )
  ),
  gone as (
    delete from only "public"."things" t
    where t.ctid = any (array(select c from locked))
    returning t.ctid as c, "t"."id" as key, (0)::bigint as bytes
  ),
  w0 as materialized (
    select distinct on (k0) r.*, t.ctid as place
    from only "public"."things" t cross join lateral (values ("t"."data")) r (k0)
    where t.ctid = any (array(select c from locked)) and r.k0 is not null
    order by k0, t.ctid
  ),
  c0 as (
    delete from only "public"."blobs" d using w0 w,
    only "public"."things" t
    where
      "d"."id" = w.k0
      and t.ctid = w.place
      and t.ctid = any (array(select c from locked))
      and not (
        exists (
          select 1
          from only "public"."things" o
          where "o"."data" = "d"."id" and o.ctid not in (select c from locked)
        )
      )
    returning t.ctid as c, "d"."id"::text as key, (0)::bigint as bytes
  ),
  queued as (select 1 where false),
  totals as materialized (
    select
      count(*) as deleted,
      coalesce(string_agg(uuid_send (key), ''::bytea), '') as keys,
      (select count(*) from "c0") as dependants_deleted,
      jsonb_build_object('public.blobs', coalesce((select jsonb_agg(key) from "c0"), '[]')) as dependants,
      least(
        coalesce(sum(bytes), 0) + (select coalesce(sum(bytes), 0) from "c0"),
        9007199254740991
      )::bigint as bytes,
      (select count(*) from queued) as files,
      case
        when count(*) = 0 then '{}'
        else jsonb_build_object(
          ‹all›::text,
          jsonb_build_object(
            'deleted',
            count(*),
            'bytes',
            least(
              coalesce(sum(bytes), 0) + (select coalesce(sum(bytes), 0) from "c0"),
              9007199254740991
            )::bigint
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
            or exists (
              select 1
              from only "public"."blobs" d
              where
                ("t"."data" = "d"."id")
                and (
                  exists (
                    select 1
                    from retention.hold h
                    where
                      h.released_at is null
                      and h.scope = 'item'
                      and h.subject = "d"."id"::text
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
        case
          when (
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
                  from only "public"."blobs" d
                  where
                    ("t"."data" = "d"."id")
                    and (
                      exists (
                        select 1
                        from retention.hold h
                        where
                          h.released_at is null
                          and h.scope = 'item'
                          and h.subject = "d"."id"::text
                          and h.table_name in ('public.blobs')
                      )
                    )
                )
              )
              else false
            end
          ) then 'held'
          when (
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
          ) then 'extended'
          when (
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
          ) then 'dead_letter'
          when false then 'referenced'
          when (
            "t"."at" < ‹2026-01-30T02:00:00.000Z›::timestamptz
            and isfinite("t"."at")
          ) is not true then 'not_expired'
        end,
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

-- as before: with wanted0 as materialized ( select t.ctid as c, r.* from 

-- as before: with locked as materialized ( select t.ctid as c, ?::text as

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
                  or exists (
                    select 1
                    from only "public"."blobs" d
                    where
                      ("t"."data" = "d"."id")
                      and (
                        exists (
                          select 1
                          from retention.hold h
                          where
                            h.released_at is null
                            and h.scope = 'item'
                            and h.subject = "d"."id"::text
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
    ‹within_sla›
  );

select batches, deleted::text, dependants_deleted::text, files_queued::text, bytes_freed::text, by_rule
from retention.run
where id = ‹id-1›::uuid;
