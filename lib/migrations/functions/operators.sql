-- Who acts: an operator's own token proves it to the database, so that the credentials of the app alone are no operator.

-- A role with the rights of the table's owner needs no token, as it could write the table: a stop from psql works without.
-- Every other role needs one, whether a member of lapse_app or not.
create or replace function retention.prove_operator(who text) returns void
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  given text := encode(sha256(convert_to(coalesce(current_setting('lapse.operator_token', true), ''), 'UTF8')), 'hex');
begin
  if pg_has_role(session_user, (select relowner from pg_class where oid = 'retention.operator'::regclass), 'USAGE')
    or not exists (select 1 from retention.operator) then
    return;
  end if;
  if not exists (select 1 from retention.operator o where o.name = who and given = any(o.token_sha256)) then
    raise exception 'lapse: the operator''s own token is needed' using errcode = 'LP016',
      hint = 'In the same transaction, before: select set_config(''lapse.operator_token'', $1, true), the token as its parameter';
  end if;
end $$;
comment on function retention.prove_operator(text) is
  'Refuses who acts under a name without its token in lapse.operator_token; as long as no operator is bound to the database, it refuses no one.';

-- Tells the app no more than whether its own list is the one that the database goes by.
create or replace function retention.operators_bound(given text[]) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select case when k.known = '{}' then 'none' when k.known @> given and given @> k.known then 'same' else 'other' end
  from (select coalesce(array_agg(o.name || ':' || h), '{}') as known from retention.operator o cross join unnest(o.token_sha256) h) k
$$;
comment on function retention.operators_bound(text[]) is
  'Compares name:sha256 pairs with the operators bound to the database: none (no operator is bound), same or other.';
