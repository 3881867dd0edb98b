/**
 * What must happen to the rows as they are, in plain SQL that shares nothing with the engine: views over the tables and over
 * Lapse's holds, extensions and dead letters.
 */
import { NOW } from '../shapes/times';
import { CUTOFF, type Form, LEVELS } from './tables';

const AT = `'${NOW.toISOString()}'::timestamptz`;

const named = (record: string, condition: string): string =>
  `exists (select 1 from retention.${record} x where x.table_name = 'public.' || d.t and x.row_key = d.id::text and ${condition})`;

/**
 * `down(root, t, id)`: a document and every row below it. `keeps(root, why, by, nth)`: what keeps it, and by a row of which
 * table, the weightiest last to be asked first: `nth`. `goes(t, id)`: the rows that must go.
 */
export const viewsOf = (form: Form): string => `
  create schema oracle;
  create view oracle.links as
    select 'doc' as pt, doc as pid, 'note' as t, id from note
    union all select 'note', note, 'version', id from version
    union all select 'version', version, 'page', id from page
    ${form === 'thread' ? "union all select 'version', parent, 'version', id from version where parent is not null" : ''}
    ${form === 'folders' ? "union all select 'doc', parent, 'doc', id from doc where parent is not null" : ''};
  create view oracle.down as
    with recursive d(root, t, id) as (
      select id, 'doc', id from doc
      union select d.root, l.t, l.id from d join oracle.links l on l.pt = d.t and l.pid = d.id
    ) select * from d;
  create view oracle.pinned as ${LEVELS.map((t) => `select '${t}' as t, ${t} as id from pin where ${t} is not null`).join(' union all ')};
  create view oracle.keeps as
    select d.root, w.why, case when d.t = 'doc' and d.id = d.root then w.own else w.by end as by,
      w.weight * 100 + case when d.t = 'doc' and d.id = d.root then 0 else w.place end as nth
    from oracle.down d cross join lateral (
      select 'held' as why, 1 as weight, null as own, 'public.' || d.t as by, array_position(array['doc', 'note', 'version', 'page'], d.t) as place
        where exists (select 1 from retention.hold h where h.released_at is null and (h.scope = 'user' and h.subject = d.t || '-' || d.id
          or h.scope = 'item' and h.table_name = 'public.' || d.t and h.subject = d.id::text))
      union all select 'extended', 2, null, 'public.' || d.t, array_position(array['doc', 'note', 'version', 'page'], d.t)
        where ${named('extension', `x.keep_until > ${AT}`)}
      union all select 'dead_letter', 3, null, 'public.' || d.t, array_position(array['doc', 'note', 'version', 'page'], d.t)
        where ${named('dead_letter', `(x.state = 'discarded' or x.state = 'open' and x.next_attempt_at > ${AT})`)}
      union all select 'referenced', 4, 'public.pin', 'public.pin', 2
        where (d.t, d.id) in (select t, id from oracle.pinned)
      union all select 'referenced', 4, null, 'public.doc', 1
        where d.t = 'doc' and d.id <> d.root and exists (select 1 from doc where doc.id = d.id and doc.at >= '${CUTOFF}')
    ) w;
  create view oracle.free as
    select id from doc where at < '${CUTOFF}' and id not in (select root from oracle.keeps);
  create view oracle.goes as
    select distinct t, id from oracle.down where root in (select id from oracle.free);
  create view oracle.stays as
    select distinct on (k.root) k.root, k.why || coalesce(' by ' || k.by, '') as why from oracle.keeps k
    join doc on doc.id = k.root and doc.at < '${CUTOFF}' order by k.root, k.nth;
  create view oracle.present as ${LEVELS.map((t) => `select '${t}' as t, id from ${t}`).join(' union all ')};
  create view oracle.orphans as
    select 'note' as t, id from note where doc not in (select id from doc)
    union all select 'version', id from version where note not in (select id from note)
    union all select 'page', id from page where version not in (select id from version)
    union all select 'version', id from version where parent not in (select id from version);`;
