-- What goes with a batch's rows, level by level: each step is a statement of its own, so it sees every row that refers to those
-- that were locked before it. Without a search_path of their own, as retention.try_each: the steps are the batch's own texts.

-- From the rows of `lapse.rows` downwards, at most `most` of all tables. What has something below it is locked; what has
-- nothing is counted. Where it is more, with half of the rows, and so on; a single row with more below it is left to the next
-- batch, which takes it apart. Leaves the rows in `lapse.tree_*`, what became of it in `lapse.state`.
create or replace function retention.lock_tree(root text, steps jsonb, most bigint) returns void
language plpgsql volatile security invoker as $$
declare
  roots tid[] := current_setting('lapse.rows')::tid[];
  labels text[] := nullif(current_setting('lapse.labels', true), '')::text[];
  state text := 'whole';
  ns int[];
  os oid[];
  cs tid[];
  rs tid[];
  lo int;
  hi int;
  total bigint;
  step jsonb;
  fo oid[];
  fc tid[];
  fr tid[];
  found_rows bigint;
begin
  loop
    total := cardinality(roots);
    ns := array_fill(0, array[total::int]);
    os := array_fill(root::regclass::oid, array[total::int]);
    cs := roots;
    rs := roots;
    lo := 1;
    while lo <= cardinality(cs) and total <= most loop
      hi := cardinality(cs);
      for step in select value from jsonb_array_elements(steps) loop
        select array_agg(x.o), array_agg(x.c), array_agg(x.r) into fo, fc, fr
          from unnest(ns[lo:hi], os[lo:hi], cs[lo:hi], rs[lo:hi]) x(n, o, c, r) where x.n = (step ->> 'from')::int;
        continue when fo is null;
        if (step ->> 'leaf')::boolean then
          execute step ->> 'count' into found_rows using fo, fc, fr, most - total + 1;
        else
          -- Those that are known already come in front of the others: as many more are asked for.
          execute step ->> 'lock' into fo, fc, fr
            using fo, fc, fr, most - total + 1 + case when (step ->> 'once')::boolean then 0 else cardinality(cs) end;
          if (step ->> 'once')::boolean then
            found_rows := coalesce(cardinality(fo), 0);
            ns := ns || array_fill((step ->> 'to')::int, array[found_rows::int]);
            os := os || fo;
            cs := cs || fc;
            rs := rs || fr;
          else
            -- Each row once, however many ways lead to it.
            select ns || array_agg((step ->> 'to')::int), os || array_agg(x.o), cs || array_agg(x.c), rs || array_agg(x.r), count(*)
              into ns, os, cs, rs, found_rows
              from (
                select distinct on (y.o, y.c) y.o, y.c, y.r from unnest(fo, fc, fr) y(o, c, r)
                where (y.o, y.c) not in (select k.o, k.c from unnest(ns, os, cs) k(n, o, c) where k.n = (step ->> 'to')::int)
              ) x;
          end if;
        end if;
        total := total + found_rows;
        exit when total > most;
      end loop;
      lo := hi + 1;
    end loop;
    exit when total <= most;
    if cardinality(roots) = 1 then
      state := 'apart';
      exit;
    end if;
    state := 'cut';
    labels := labels[1:(cardinality(roots) + 1) / 2];
    roots := roots[1:(cardinality(roots) + 1) / 2];
  end loop;
  if state = 'apart' then
    perform retention.leave_tree(state, '{}', '{}', '{}', '{}', '{}', '{}');
  else
    perform retention.leave_tree(state, roots, labels, ns, os, cs, rs);
  end if;
end $$;
comment on function retention.lock_tree(text, jsonb, bigint) is
  'Locks what goes with the rows that a batch has locked, level by level, as far as a batch may take it; the steps are the batch''s own statements.';

-- One row with more below it than a batch takes: the deepest rows first. A level is taken when all below it is; the row itself
-- goes with the last of them. A row that is found at several depths counts at its deepest.
create or replace function retention.take_apart(root text, steps jsonb, most bigint, down text default null) returns void
language plpgsql volatile security invoker as $$
declare
  roots tid[] := current_setting('lapse.rows')::tid[];
  labels text[] := nullif(current_setting('lapse.labels', true), '')::text[];
  ns int[] := array_fill(0, array[cardinality(roots)]);
  os oid[] := array_fill(root::regclass::oid, array[cardinality(roots)]);
  cs tid[] := roots;
  -- First row of each level; whether everything below its rows was found.
  begins int[] := '{1}';
  whole boolean[] := '{}';
  lo int;
  hi int;
  room bigint;
  step jsonb;
  fo oid[];
  fc tid[];
  fr tid[];
  found_rows bigint;
  tn int[] := '{}';
  oo oid[] := '{}';
  tc tid[] := '{}';
begin
  if cardinality(roots) = 0 then
    perform retention.leave_tree('whole', roots, labels, '{}', '{}', '{}', '{}');
    return;
  end if;
  loop
    lo := begins[cardinality(begins)];
    hi := cardinality(cs);
    exit when lo > hi;
    -- A chain is not walked level by level from its beginning for each piece of its end.
    if down is not null and cardinality(begins) = 200 then
      select x.n, x.o, x.c into tn, oo, tc from retention.lock_chain(root, roots[1], steps, down, most) x;
      if tn is not null then
        perform retention.leave_tree(
          case when exists (select from unnest(tn, tc) x(n, c) where x.n = 0 and x.c = roots[1]) then 'cut' else 'apart' end,
          roots, labels, tn, oo, tc, array_fill(roots[1], array[cardinality(tc)]));
        return;
      end if;
      tn := '{}';
      oo := '{}';
      tc := '{}';
    end if;
    -- Rows in a circle have no end; no other is so deep without a row a level.
    if cardinality(begins) > 10 * most + 1000 then
      raise exception 'lapse: rows refer to one another without an end' using errcode = '54001';
    end if;
    room := most;
    whole := whole || true;
    for step in select value from jsonb_array_elements(steps) loop
      select array_agg(x.o), array_agg(x.c), array_agg(x.c) into fo, fc, fr
        from unnest(ns[lo:hi], os[lo:hi], cs[lo:hi]) x(n, o, c) where x.n = (step ->> 'from')::int;
      continue when fo is null;
      -- Where the role may not lock it, the count of the batch finds a row that changed meanwhile.
      execute step ->> case when has_any_column_privilege(step ->> 'table', 'UPDATE') then 'lock' else 'look' end
        into fo, fc, fr using fo, fc, fr, room + 1;
      found_rows := coalesce(cardinality(fo), 0);
      if found_rows > room then
        whole[cardinality(whole)] := false;
      end if;
      select ns || array_agg((step ->> 'to')::int), os || array_agg(x.o), cs || array_agg(x.c), room - count(*)
        into ns, os, cs, room
        from (
          select distinct y.o, y.c from unnest(fo[1:room], fc[1:room]) y(o, c)
          where (y.o, y.c) not in (select k.o, k.c from unnest(ns[hi + 1:], os[hi + 1:], cs[hi + 1:]) k(n, o, c) where k.n = (step ->> 'to')::int)
        ) x;
    end loop;
    begins := begins || hi + 1;
  end loop;
  -- From the deepest level upwards.
  for level in reverse cardinality(whole)..1 loop
    exit when cardinality(tc) >= most or (level < cardinality(whole) and not whole[level]);
    lo := begins[level];
    hi := begins[level + 1] - 1;
    select tn || array_agg(x.n), oo || array_agg(x.o), tc || array_agg(x.c) into tn, oo, tc
      from (
        select y.n, y.o, y.c from unnest(ns[lo:hi], os[lo:hi], cs[lo:hi]) y(n, o, c)
        where (y.o, y.c) not in (select k.o, k.c from unnest(oo, tc) k(o, c)) limit most - cardinality(tc)
      ) x;
  end loop;
  perform retention.leave_tree(
    case when exists (select from unnest(tn, tc) x(n, c) where x.n = 0 and x.c = roots[1]) then 'cut' else 'apart' end,
    roots, labels, tn, oo, tc, array_fill(roots[1], array[cardinality(tc)]));
end $$;
comment on function retention.take_apart(text, jsonb, bigint, text) is
  'Chooses the deepest rows of what goes with one row, as many as a batch may take; the steps are the batch''s own statements.';

-- The deepest rows below one, by one statement (`down`) instead of one a level: all of them are found, locked, and found again.
-- What is found the same the second time stays so: a locked row goes nowhere and gets nothing new below it. Null where there are
-- more than can be looked at, or no end.
create or replace function retention.lock_chain(root text, place tid, steps jsonb, down text, most bigint, out n int[], out o oid[], out c tid[])
language plpgsql volatile security invoker as $$
declare
  -- A second and a half by their indexes.
  at_once constant bigint := 100000;
  depths int[];
  seen text;
  before text;
  step jsonb;
begin
  for look in 1..4 loop
    execute down into n, o, c, depths using root::regclass::oid, place, at_once + 1;
    if cardinality(n) > at_once then
      n := null;
      return;
    end if;
    seen := md5(concat(n::text, o::text, c::text));
    exit when seen = before;
    before := seen;
    for step in select distinct on (value ->> 'to') value from jsonb_array_elements(steps) loop
      continue when not has_any_column_privilege(step ->> 'table', 'UPDATE');
      execute format('select from unnest($1, $2, $3) x(n, o, c) cross join lateral (
        select from %s p where p.tableoid = x.o and p.ctid = x.c for update) y where x.n = $4', step ->> 'table')
        using n, o, c, (step ->> 'to')::int;
    end loop;
    if look = 4 then
      raise exception 'lapse: what lies below a row is being changed' using errcode = '55P03';
    end if;
  end loop;
  select array_agg(x.n), array_agg(x.o), array_agg(x.c) into n, o, c from (
    select y.n, y.o, y.c from unnest(n, o, c, depths) y(n, o, c, depth) group by y.n, y.o, y.c order by max(y.depth) desc limit most) x;
end $$;
comment on function retention.lock_chain(text, tid, jsonb, text, bigint) is
  'Locks all that lies below a row, found by one statement, and chooses the deepest rows of it, as many as a batch may take.';

create or replace function retention.leave_tree(state text, roots tid[], labels text[], n int[], o oid[], c tid[], r tid[]) returns void
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('lapse.state', state, true), set_config('lapse.rows', roots::text, true),
    set_config('lapse.labels', coalesce(labels, '{}')::text, true), set_config('lapse.tree_n', n::text, true),
    set_config('lapse.tree_o', o::text, true), set_config('lapse.tree_c', c::text, true), set_config('lapse.tree_r', r::text, true);
end $$;
comment on function retention.leave_tree(text, tid[], text[], int[], oid[], tid[], tid[]) is
  'Leaves what was found to the statement that deletes it.';

create or replace function retention.refuse_more(gone bigint, most bigint) returns void
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if gone > most then
    raise exception 'lapse: % rows would go, of which a batch may take %', gone, most using errcode = 'LP017';
  end if;
end $$;
comment on function retention.refuse_more(bigint, bigint) is
  'Stops a batch whose rows were not counted before they went, where they are more than it may take.';
