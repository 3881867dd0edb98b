/**
 * The clock of requests to erase: the law gives a month (GDPR Art. 12(3); no setting makes it longer). Whoever has to act is
 * told at 80 and at 100 percent of it, each once a request, on the channels of every other alert, and again when it is over.
 * So is what a finished one retained, when its ground ends. The incident is opened before the request says that it was: dying in between tells it again, never not at all.
 */
import { z } from 'zod';
import { reportIncidents, type Symptom } from '../platform/alerts/incidents';
import { oneRow, query, rows } from '../platform/query';
import { ask, askOne } from '../platform/session';
import { constant, literal, type Sql, sql } from '../platform/sql';
import type { Services } from '../services';
import { UNDER_WAY } from './store';

/** Of the time the law gives: a week is left then to find out what holds a request. */
const WARNING_SHARE = 0.8;
/** Told in one look; the others at the next, an hour later. */
const MOST = 100;
const LIMITS = { statementMs: 5_000 };
const DAY_SECONDS = 86_400;

const causeOf = (id: string): string => `erasure.due:${id}`;
const PREFIX = causeOf('');
export const underWay = (state: Sql): Sql =>
  sql`${state} in (${literal(UNDER_WAY[0])}, ${literal(UNDER_WAY[1])}, ${literal(UNDER_WAY[2])})`;

const Due = z.object({
  id: z.string(),
  state: z.string(),
  over: z.boolean(),
  seconds_left: z.number(),
  kept: z.number(),
});
type Due = z.output<typeof Due>;
const Next = z.object({ next: z.coerce.date().nullable() });

/** Whose time is nearly over, or over, and of whom nobody was told so. */
const untold = (at: string) =>
  query(
    sql`select e.id::text, e.state, e.due_at <= ${at}::timestamptz as over,
        extract(epoch from e.due_at - ${at}::timestamptz)::float8 as seconds_left,
        coalesce((select sum(k.value::numeric) from retention.erasure_step s, jsonb_each_text(s.kept) k where s.erasure = e.id), 0)::float8 as kept
      from retention.erasure e where ${underWay(sql`e.state`)}
        and case when e.due_at <= ${at}::timestamptz then e.overdue_at is null
          else e.warned_at is null and e.requested_at + ${constant(WARNING_SHARE)} * (e.due_at - e.requested_at) <= ${at}::timestamptz end
      order by e.due_at, e.id limit ${constant(MOST)}`,
    rows(Due),
  );

/** Incidents of requests that were done or taken back since. */
const settled = query(
  sql`select i.cause from retention.incident i where i.recovered_at is null and starts_with(i.cause, ${literal(PREFIX)})
      and not exists (select 1 from retention.erasure e where e.id::text = substr(i.cause, ${constant(PREFIX.length + 1)})
        and ${underWay(sql`e.state`)})`,
  rows(z.object({ cause: z.string() })),
);

const endOf = (id: string): string => `erasure.retained:${id}`;
const END = endOf('');

/** Done, and what they retained is on no ground any more. */
const endedBy = (at: string) =>
  query(
    sql`select e.id::text from retention.erasure e
      where e.state = 'done' and e.retained_until <= ${at}::timestamptz and e.retained_told_at is null
      order by e.retained_until, e.id limit ${constant(MOST)}`,
    rows(z.object({ id: z.string() })),
  );

/** Of the same subject one was done since. */
const askedAgain = query(
  sql`select i.cause from retention.incident i join retention.erasure e on e.id::text = substr(i.cause, ${constant(END.length + 1)})
      where i.recovered_at is null and starts_with(i.cause, ${literal(END)}) and exists (select 1 from retention.erasure x
        where x.scope = e.scope and x.subject = e.subject and x.state = 'done' and x.finished_at > e.finished_at)`,
  rows(z.object({ cause: z.string() })),
);

async function watchEnds(services: Services, at: string): Promise<void> {
  const { ended, again } = await ask(services.database, { ended: endedBy(at), again: askedAgain }, LIMITS);
  const wrong = ended.map(
    ({ id }): Symptom => ({
      cause: endOf(id),
      severity: 'warning',
      message: `request ${id} to erase: the ground on which it retained something has ended; ask for the erasure of this subject again, which takes that`,
    }),
  );
  await reportIncidents(services, { wrong, over: again.map((o) => o.cause) });
  for (const { id } of ended) {
    const noting = query(sql`select retention.note_retained_end(${id}::uuid)`, () => undefined);
    await askOne(services.database, noting, LIMITS);
  }
}

/** Returns how many were told of whose time runs out. */
export async function watchClock(services: Services): Promise<number> {
  const at = services.clock().toISOString();
  await watchEnds(services, at);
  const { due, over } = await ask(services.database, { due: untold(at), over: settled }, LIMITS);
  await reportIncidents(services, { wrong: due.map(symptomOf), over: over.map((o) => o.cause) });
  for (const { id, over: isOver } of due) {
    await askOne(
      services.database,
      query(sql`select retention.note_erasure_clock(${id}::uuid, ${isOver})`, () => undefined),
      LIMITS,
    );
  }
  return due.length;
}

/** When somebody has to be told next; null: of nothing. What was due and could not be told is due still. */
export async function nextOnClock(services: Services): Promise<Date | null> {
  const warnsAt = sql`e.requested_at + ${constant(WARNING_SHARE)} * (e.due_at - e.requested_at)`;
  const next = sql`select least((select min(case when e.warned_at is null then ${warnsAt} else e.due_at end)
      from retention.erasure e where ${underWay(sql`e.state`)} and e.overdue_at is null),
    (select min(e.retained_until) from retention.erasure e where e.retained_until is not null and e.retained_told_at is null)) as next`;
  return (await askOne(services.database, query(next, oneRow(Next)), LIMITS)).next;
}

const symptomOf = (due: Due): Symptom => {
  const days = Math.ceil(Math.abs(due.seconds_left) / DAY_SECONDS);
  const time = due.over
    ? `the month that the law gives is over (${days} days late)`
    : `${days} days are left of the month that the law gives`;
  return {
    cause: causeOf(due.id),
    severity: due.over ? 'critical' : 'warning',
    message: `request ${due.id} to erase: ${time}; ${whatHoldsIt(due)}`,
  };
};

function whatHoldsIt({ id, state, kept }: Due): string {
  if (state === 'requested') return 'it waits for a second operator, who confirms or withdraws it';
  if (kept === 0) return `it is not finished: GET /api/erasure?id=${id} says what is left`;
  return `${kept} rows are held: release the hold, or answer the person why it lasts (Art. 17(3))`;
}
