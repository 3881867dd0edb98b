-- What the preflight asks PostgreSQL itself.

-- With the rights, the search_path and the settings of the caller, who could send the same EXPLAIN: nothing is executed but
-- the planning. Answers `{plan}`, or `{state, message}` where the expression cannot stand.
create or replace function retention.explained(query text) returns jsonb
language plpgsql volatile security invoker as $$
declare
  plan json;
  state text;
  said text;
begin
  execute 'explain (verbose, costs off, format json) ' || query into plan;
  return jsonb_build_object('plan', plan);
exception when others then
  get stacked diagnostics state = returned_sqlstate, said = message_text;
  -- A lock or a shortage is not the expression's fault: the whole request may be asked again.
  if state ~ '^(25|40|53|55P|57|58|08|XX)' then raise; end if;
  return jsonb_build_object('state', state, 'message', said);
end $$;
comment on function retention.explained(text) is
  'The plan of a query, from which the preflight reads what tables and functions a policy''s fragments ask; or why it cannot stand.';

-- Which index would answer, with none of the rows looked at: where only an index in the order of the walk is left to choose,
-- PostgreSQL itself says whether there is one, also a partial one or one of an expression.
create or replace function retention.planned_walk(query text) returns jsonb
language sql volatile security invoker set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set enable_incremental_sort = off as $$
  select retention.explained(query)
$$;
comment on function retention.planned_walk(text) is
  'The plan of a walk where only an index in its order is left to choose; or why it cannot stand.';
