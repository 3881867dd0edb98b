/** Requests to erase against the entries that say so: asked for by whom, for whose data, confirmed by a second one. */
import { lines, literal, sql } from '../../platform/sql';
import type { Question } from './findings';

const ENTRY = sql`select n, actor, action, detail from retention.audit_entry where subject = x.id::text`;

/** Which entry a request's state comes from. */
const STATES = [
  ['requested', 'erasure.requested'],
  ['confirmed', 'erasure.confirmed'],
  ['open', 'erasure.begun'],
  ['done', 'erasure.done'],
  ['withdrawn', 'erasure.withdrawn'],
] as const;
const fits = lines(
  ...STATES.map(([state, action]) => sql`when ${literal(state)} then e.action = ${literal(action)}`),
);

export const erasures: readonly Question[] = [
  {
    kind: 'without an entry',
    sql: sql`select x.id::text, x.state, e.n::text, a.n::text as asked,
        coalesce((a.detail -> 'needs_second') = 'true', false) and x.state in ('confirmed', 'open', 'done')
          and not exists (${ENTRY} and action = 'erasure.confirmed' and actor = x.confirmed_by) as alone
      from retention.erasure x
      left join lateral (${ENTRY} and action = 'erasure.requested' order by n limit 1) a on true
      left join lateral (${ENTRY} and action like 'erasure.%' order by n desc limit 1) e on true
      where a.n is null or a.detail ->> 'requested_by' is distinct from x.requested_by
        or a.detail ->> 'subject_sha256' is distinct from encode(sha256(convert_to(x.scope || ':' || x.subject, 'UTF8')), 'hex')
        or (a.detail -> 'needs_second' = 'true' and x.state in ('confirmed', 'open', 'done')
          and not exists (${ENTRY} and action = 'erasure.confirmed' and actor = x.confirmed_by))
        or not (case x.state ${fits} end
          -- Needs no second person, or was requested before requests had entries.
          or (e.action = 'erasure.requested' and e.detail -> 'needs_second' = 'false'
            and (x.state = 'confirmed' or e.detail -> 'before' = 'true')))`,
    message: (x) => {
      if (x.asked === null) return `erasure ${x.id} has no entry that says who asked for it`;
      if (x.alone)
        return `erasure ${x.id} is ${x.state}, and no entry says that a second operator confirmed it`;
      return `erasure ${x.id} is ${x.state}, and not what entries ${x.asked} to ${x.n} say`;
    },
  },
  {
    kind: 'without an entry',
    sql: sql`select e.n::text, e.subject from retention.audit_entry e
      where e.action = 'erasure.requested' and not exists (select 1 from retention.erasure x where x.id::text = e.subject)`,
    message: (e) => `erasure ${e.subject}, asked for by entry ${e.n}, is gone`,
  },
];
