/** A grid of weeks on a desk, a list on a phone; each day says in words what it says by its place. */
import type { MonthDay } from '@/lib/http/console/calendar';
import { countOf, manyOf } from '@/lib/http/console/words';
import { utcInWords } from '@/lib/platform/in-words';

const WEEKDAYS = ['Mo', 'Tu', 'We', 'Th', 'Fr', 'Sa', 'Su'] as const;
/** Monday is the first. */
const weekdayOf = (date: string): number => (new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7;

/** Days before the first one have no place in the calendar, but in its first week. */
const COLUMNS = [
  'md:col-start-1',
  'md:col-start-2',
  'md:col-start-3',
  'md:col-start-4',
  'md:col-start-5',
  'md:col-start-6',
  'md:col-start-7',
] as const;

export function MonthGrid({ days, href }: { days: readonly MonthDay[]; href: (date: string) => string }) {
  return (
    <>
      <div aria-hidden="true" className="hidden grid-cols-7 gap-1 text-sm text-quiet md:grid">
        {WEEKDAYS.map((name) => (
          <span key={name}>{name}</span>
        ))}
      </div>
      <ol id="days" className="grid gap-1 md:grid-cols-7">
        {days.map((day) => (
          <li
            key={day.date}
            className={`min-w-0 rounded-md border border-line p-2 text-sm ${isEmpty(day) ? 'max-md:hidden' : 'bg-raised'} ${COLUMNS[weekdayOf(day.date)]}`}
          >
            <Day day={day} href={href(day.date)} />
          </li>
        ))}
      </ol>
      <Folded days={days} />
    </>
  );
}

const isEmpty = (day: MonthDay): boolean => day.policies.length === 0 && day.told.length === 0;

function Day({ day, href }: { day: MonthDay; href: string }) {
  return (
    <div className="grid gap-1">
      <a href={href} className="inline-flex min-h-6 items-center font-medium text-link underline">
        {utcInWords(day.date)}
      </a>
      {isEmpty(day) ? (
        <span className="text-quiet">nothing goes</span>
      ) : (
        <span>
          {day.more && 'more than '}
          {manyOf(day.rows, 'row')}
        </span>
      )}
      {day.unusual && <strong className="text-warn">▲ above the usual</strong>}
      {day.extended > 0 && <span>{countOf(day.extended)} extended</span>}
      {day.told.length > 0 && (
        <span>
          notices sent:{' '}
          {day.told.map((t) => `${manyOf(t.messages, 'message')} ${t.days} days before`).join(', ')}
        </span>
      )}
    </div>
  );
}

/** On a phone days on which nothing goes are a number. */
function Folded({ days }: { days: readonly MonthDay[] }) {
  const empty = days.filter(isEmpty).length;
  if (empty === 0) return null;
  return <p className="text-sm text-quiet md:hidden">On {manyOf(empty, 'other day')} nothing goes.</p>;
}
