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
  -- Whether all below it may still be asked for by one statement.
  is_one boolean := down is not null;
begin
  if cardinality(roots) = 0 then
    perform retention.leave_tree('whole', roots, labels, '{}', '{}', '{}', '{}');
    return;
  end if;
  loop
    lo := begins[cardinality(begins)];
    hi := cardinality(cs);
    exit when lo > hi;
    -- A chain is not walked level by level from its beginning for each piece of its end, and a circle has none.
    if is_one and (cardinality(begins) = 200 or (cardinality(begins) in (2, 4, 8, 16, 32, 64) and exists (
      select from unnest(os[lo:hi], cs[lo:hi]) x(o, c) where (x.o, x.c) in (select y.o, y.c from unnest(os[1:lo - 1], cs[1:lo - 1]) y(o, c))))) then
      is_one := false;
      select x.n, x.o, x.c into tn, oo, tc from retention.lock_below(root, roots[1], steps, down, most) x;
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

-- The rows below one that are to go first, found by one statement (`down`) instead of one a level: all of them are found, locked,
-- and found again. What is found the same the second time stays so: a locked row goes nowhere and gets nothing new below it. Where
-- there are more than can be looked at, those that nothing hangs on; null where there are none of these.
create or replace function retention.lock_below(root text, place tid, steps jsonb, down text, most bigint, out n int[], out o oid[], out c tid[])
language plpgsql volatile security invoker as $$
declare
  -- Two seconds by their indexes.
  at_once constant bigint := 100000;
  po oid[];
  pc tid[];
  seen text;
  before text;
  step jsonb;
  leaves int[];
  above int[];
  below int[];
  first int;
  first_ones int[];
begin
  for look in 1..4 loop
    execute down into n, o, c, po, pc using root::regclass::oid, place, at_once + 1;
    if cardinality(n) > at_once then
      select array_agg((s.value ->> 'to')::int) into leaves from jsonb_array_elements(steps) s where (s.value ->> 'lowest')::boolean;
      select array_agg(x.n), array_agg(x.o), array_agg(x.c) into n, o, c
        from (select distinct y.n, y.o, y.c from unnest(n, o, c) y(n, o, c) where y.n = any(leaves) order by y.n, y.o, y.c limit most) x;
      return;
    end if;
    seen := md5(concat(o::text, c::text, po::text, pc::text));
    exit when seen = before;
    before := seen;
    for step in select distinct on (value ->> 'to') value from jsonb_array_elements(steps) loop
      -- What is only read, to be archived, is locked when it goes.
      continue when current_setting('transaction_read_only')::boolean or not has_any_column_privilege(step ->> 'table', 'UPDATE');
      execute format('select from unnest($1, $2, $3) x(n, o, c) cross join lateral (
        select from %s p where p.tableoid = x.o and p.ctid = x.c for update) y where x.n = $4', step ->> 'table')
        using n, o, c, (step ->> 'to')::int;
    end loop;
    if look = 4 then
      raise exception 'lapse: what lies below a row is being changed' using errcode = '55P03';
    end if;
  end loop;
  -- Each row has a number, in the order of the places.
  with ends as (
    select x.i, true as is_below, x.o, x.c from unnest(o, c) with ordinality x(o, c, i)
    union all
    select x.i, false, x.o, x.c from unnest(po, pc) with ordinality x(o, c, i) where x.o is not null
  ), numbered as (
    select x.i, x.is_below, dense_rank() over (order by x.o, x.c)::int as r from ends x
  ), ways as (
    select max(x.r) filter (where not x.is_below) as f, max(x.r) filter (where x.is_below) as t from numbered x group by x.i
  )
  select coalesce(array_agg(w.f order by w.f, w.t) filter (where w.f is not null), '{}'),
    coalesce(array_agg(w.t order by w.f, w.t) filter (where w.f is not null), '{}'), max(w.t) filter (where w.f is null)
    into above, below, first from ways w;
  select array_agg(x.n order by x.o, x.c), array_agg(x.o order by x.o, x.c), array_agg(x.c order by x.o, x.c) into n, o, c
    from (select distinct on (y.o, y.c) y.n, y.o, y.c from unnest(n, o, c) y(n, o, c) order by y.o, y.c, y.n) x;
  first_ones := retention.from_below(cardinality(n), first, above, below, most);
  select array_agg(n[x.r]), array_agg(o[x.r]), array_agg(c[x.r]) into n, o, c from unnest(first_ones) x(r);
end $$;
comment on function retention.lock_below(text, tid, jsonb, text, bigint) is
  'Locks all that lies below a row, found by one statement, and chooses what goes first, as much as a batch may take.';

-- Of so many rows those that go first, by their numbers: none before what is below it (`above[i]` has `below[i]` below it, in the
-- order of `above`). Rows that are below one another, in a circle, go together, were they more than `most`; no others are. This is
-- how Tarjan finds strongly connected components: they end in this order.
create or replace function retention.from_below(rows int, root int, above int[], below int[], most bigint) returns int[]
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  -- As many as a receipt may name.
  most_at_once constant int := 40000;
  -- Of each row: where its ways begin, and the next of them; when it was reached; the first reached that it leads back to.
  begins int[] := array_fill(1, array[rows + 1]);
  next int[];
  reached int[] := array_fill(0, array[rows]);
  back int[] := array_fill(0, array[rows]);
  is_over boolean[] := array_fill(false, array[rows]);
  path int[] := array_fill(root, array[rows]);
  deep int := 1;
  -- Reached, and in no circle yet that has ended.
  pending int[] := array_fill(root, array[rows]);
  pendings int := 1;
  clock int := 1;
  going int[] := '{}';
  r int;
  s int;
  i int;
begin
  i := 1;
  for r in 1..rows loop
    begins[r] := i;
    while i <= cardinality(above) and above[i] = r loop
      i := i + 1;
    end loop;
  end loop;
  begins[rows + 1] := i;
  next := begins;
  reached[root] := 1;
  back[root] := 1;
  while deep > 0 loop
    r := path[deep];
    if next[r] < begins[r + 1] then
      s := below[next[r]];
      next[r] := next[r] + 1;
      if reached[s] = 0 then
        clock := clock + 1;
        reached[s] := clock;
        back[s] := clock;
        deep := deep + 1;
        path[deep] := s;
        pendings := pendings + 1;
        pending[pendings] := s;
      elsif not is_over[s] then
        back[r] := least(back[r], reached[s]);
      end if;
      continue;
    end if;
    deep := deep - 1;
    if deep > 0 then
      back[path[deep]] := least(back[path[deep]], back[r]);
    end if;
    continue when back[r] < reached[r];
    i := pendings;
    while pending[i] <> r loop
      i := i - 1;
    end loop;
    exit when cardinality(going) > 0 and cardinality(going) + pendings - i + 1 > most;
    if pendings - i + 1 > most_at_once then
      raise exception 'lapse: % rows refer to one another in a circle, of which a batch may take %', pendings - i + 1, most_at_once
        using errcode = '54001';
    end if;
    going := going || pending[i:pendings];
    for s in i..pendings loop
      is_over[pending[s]] := true;
    end loop;
    pendings := i - 1;
  end loop;
  return going;
end $$;
comment on function retention.from_below(int, int, int[], int[], bigint) is
  'Of rows below one another those that go first, none before what is below it; what is in a circle goes together.';

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
