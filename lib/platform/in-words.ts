/** Instants for people: UTC, which is always written. */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `14 Nov 2026, 02:00:07 UTC`; a day without its time: `14 Nov 2026`. What is no instant is returned as it is. */
export function utcInWords(instant: string | Date): string {
  const text = typeof instant === 'string' ? instant : instant.toISOString();
  const [, year, month, day, , time] = /^(\d{4})-(\d\d)-(\d\d)(T(\d\d:\d\d:\d\d))?/.exec(text) ?? [];
  const named = MONTHS[Number(month) - 1];
  if (named === undefined) return text;
  const date = `${Number(day)} ${named} ${year}`;
  return time === undefined ? date : `${date}, ${time} UTC`;
}
