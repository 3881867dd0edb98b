/** Instants: always UTC and always said so, because an operator and a server seldom share a zone. */
import { agoOf, minuteOf } from '@/lib/http/console/words';

/** `2026-11-22 14:03 UTC`; with `seconds` `14:03:12 UTC`. */
export function Time({ at, seconds = false }: { at: Date | string; seconds?: boolean }) {
  const then = new Date(at);
  const iso = then.toISOString();
  return (
    <time dateTime={iso} className="sm:whitespace-nowrap">
      {seconds ? `${iso.slice(11, 19)} UTC` : minuteOf(then)}
    </time>
  );
}

/** `2 h ago`, with the instant for who hovers. */
export function Ago({ at, now }: { at: Date | string; now: Date }) {
  const then = new Date(at);
  return (
    <time dateTime={then.toISOString()} title={minuteOf(then)} className="whitespace-nowrap">
      {agoOf(then, now)}
    </time>
  );
}
