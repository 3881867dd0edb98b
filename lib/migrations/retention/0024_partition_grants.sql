-- A grant to drop partitions says all that the caller must not: for which policy, and in which zone the clock was written.
-- A grant without a policy grants nothing until its owner names one (the preflight prints the statement).

-- Up Migration

alter table retention.partition_grant add column policy text check (policy <> '');
alter table retention.partition_grant add column zone text not null default 'UTC' check (zone <> '');
comment on column retention.partition_grant.policy is 'The one policy that may drop: its fence and its pause count.';
comment on column retention.partition_grant.zone is 'Time zone in which a clock without one was written.';
update retention.partition_grant g set policy = (
  select c.policy from retention.receipt c where c.partition is not null and c.table_name = g.table_name order by c.id desc limit 1);

-- A dropped partition is found by its name: what it was a part of.
create index receipt_partition on retention.receipt ((partition ->> 'name')) where partition is not null;

-- What keeps a row names the table, not one of its partitions.
do $$
declare leaf record;
begin
  for leaf in
    select n.nspname || '.' || c.relname as label, rn.nspname || '.' || r.relname as root
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_class r on r.oid = pg_partition_root(c.oid) join pg_namespace rn on rn.oid = r.relnamespace
    where c.relispartition and c.relkind in ('r', 'p', 'f')
  loop
    update retention.hold set table_name = leaf.root where table_name = leaf.label;
    update retention.extension x set table_name = leaf.root where table_name = leaf.label
      and not exists (select 1 from retention.extension y where y.table_name = leaf.root and y.row_key = x.row_key);
    update retention.dead_letter d set table_name = leaf.root where table_name = leaf.label
      and not exists (select 1 from retention.dead_letter y where y.table_name = leaf.root and y.row_key = d.row_key and y.state = 'open');
  end loop;
end $$;

-- Down Migration

drop index retention.receipt_partition;
alter table retention.partition_grant drop column zone;
alter table retention.partition_grant drop column policy;
