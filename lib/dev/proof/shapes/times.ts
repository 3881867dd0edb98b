/** The instant a proof counts from, and clocks around it. */
import type { Rolls } from './rolls';

/** In the past, so that the database's own clock is never the earlier one; no zone changes its offset around the cutoffs. */
export const NOW = new Date('2026-03-01T02:00:00.000Z');
export const DAY = 86_400;

/** Seconds before NOW; `infinity` and null never expire. */
export type Age = number | 'infinity' | '-infinity' | null;

/** Around the cutoff of `keep` seconds, on it, far from it, and none. */
export function age(rolls: Rolls, keep: number, isOpen: boolean): Age {
  const odd = rolls.upTo(100);
  if (isOpen && odd < 6) return null;
  if (isOpen && odd < 9) return 'infinity';
  if (isOpen && odd < 12) return '-infinity';
  if (odd < 16) return keep;
  if (odd < 20) return keep + 1;
  if (odd < 24) return keep - 1;
  if (odd < 30) return -DAY * (1 + rolls.upTo(20));
  if (odd < 80) return keep + DAY * 2 + rolls.upTo(DAY * 300);
  return rolls.upTo(keep);
}

/** How a column counts time. */
export type Counting =
  | { readonly type: 'timestamptz' }
  | { readonly type: 'timestamp' | 'date'; readonly zone: string }
  | { readonly type: 'epoch'; readonly unit: 'seconds' | 'milliseconds'; readonly numeric?: true | undefined }
  | { readonly type: 'iso'; readonly digits: 0 | 3 | 6 };

/** As a column of that kind holds it: a local one as the clock on the wall of its zone. */
export function written(a: Age, clock: Counting): string | null {
  if (a === null) return null;
  if (clock.type === 'epoch' || clock.type === 'iso') return counted(a, clock);
  if (a === 'infinity' || a === '-infinity') return a;
  const at = new Date(NOW.getTime() - a * 1000);
  return clock.type === 'timestamptz' ? at.toISOString() : onTheWall(at, clock);
}

function counted(
  a: number | 'infinity' | '-infinity',
  clock: Extract<Counting, { type: 'epoch' | 'iso' }>,
): string {
  // What an application writes for "never" and for "not known".
  if (a === 'infinity') return clock.type === 'iso' ? 'never' : '0';
  if (a === '-infinity')
    return clock.type === 'iso'
      ? `2025-02-30T00:00:00${'.000000'.slice(0, clock.digits && clock.digits + 1)}Z`
      : '-1';
  const ms = NOW.getTime() - a * 1000;
  if (clock.type === 'iso') {
    const [whole] = new Date(ms).toISOString().split('.');
    return `${whole}${clock.digits > 0 ? `.${'0'.repeat(clock.digits)}` : ''}Z`;
  }
  return clock.unit === 'seconds' ? String(ms / 1000) : String(ms);
}

function onTheWall(at: Date, { type, zone }: { type: 'timestamp' | 'date'; zone: string }): string {
  const part = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).formatToParts(at);
  const get = (name: string) => part.find((p) => p.type === name)?.value ?? '';
  const date = `${get('year').padStart(4, '0')}-${get('month')}-${get('day')}`;
  return type === 'date' ? date : `${date} ${get('hour')}:${get('minute')}:${get('second')}`;
}
