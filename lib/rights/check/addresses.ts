/**
 * Every address that may stand in a text: what stands around an @, from each place where a local part may begin to each place
 * where a domain may end; whose it is, its hash decides. A mark, an escape or half a URL beside an address hides none, and one is
 * never taken for a part of another: a.me@ is not me@.
 */
import { constant, literal, type Sql, sql } from '../../platform/sql';

/** In letters: a local part has 64, and the longest address there is 254 (RFC 5321). */
const [LOCAL, DOMAIN] = [64, 255];
/** How text within text writes an @: in a URL, in HTML, in JSON within JSON. */
const AT = ['%40', '&#64;', '&#x40;', 'u0040'] as const;
const AS_AT = '%40|&#64;|&#x40;|\\\\+u0040';
const AS_PLUS = '%2B|&#43;|\\\\+u002b';
const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** Ends a domain; whatever else is no letter and no digit may. */
const ENDS = `^[^[:space:]"'<>(),;:\\\\\\[\\]{}|=/?&#%!*]+`;
/** Behind an escape a local part may begin, although a letter or a digit stands before it. */
const ESCAPED = '(\\\\[bfnrtv]|\\\\u[0-9A-Fa-f]{4}|%[0-9A-Fa-f]{2})$';

/** Marks that stand within an address, too: between two letters or digits they are a part of it. */
const [WITHIN_LOCAL, WITHIN_DOMAIN] = [`.-_+'`, '.-'];
/** A capital letter behind a full stop begins a sentence. */
const GOES_ON = 'abcdefghijklmnopqrstuvwxyz0123456789';

const isIn = (letters: string, at: Sql): Sql => sql`strpos(${literal(letters)}, ${at}) > 0`;
const begins = (text: Sql, at: Sql): Sql =>
  sql`not ${isIn(ALPHANUMERIC, sql`substr(${text}, ${at} - 1, 1)`)} and not (${at} > 2
    and ${isIn(WITHIN_LOCAL, sql`substr(${text}, ${at} - 1, 1)`)} and ${isIn(ALPHANUMERIC, sql`substr(${text}, ${at} - 2, 1)`)})`;
const ends = (text: Sql, at: Sql): Sql =>
  sql`not ${isIn(ALPHANUMERIC, sql`substr(${text}, ${at} + 1, 1)`)} and not (${at} + 1 < length(${text})
    and ${isIn(WITHIN_DOMAIN, sql`substr(${text}, ${at} + 1, 1)`)} and ${isIn(GOES_ON, sql`substr(${text}, ${at} + 2, 1)`)})`;

/** Whether any of them is what `test` looks for. `text`: an expression of that type. */
export function anyAddress(text: Sql, test: (address: Sql) => Sql): Sql {
  const encoded = AT.map((at) => sql`strpos(${text}, ${literal(at)}) > 0`).reduce(
    (a, b) => sql`${a} or ${b}`,
  );
  const decoded = sql`regexp_replace(regexp_replace(${text}, ${literal(AS_AT)}, '@', 'gi'), ${literal(AS_PLUS)}, '+', 'gi')`;
  const address = sql`substr(a.before, b.at) || '@' || left(a.behind, e.at)`;
  return sql`((strpos(${text}, '@') > 0 or ${encoded}) and exists (
    select 1 from (select string_to_array(case when ${encoded} then ${decoded} else ${text} end, '@') as parts) p
    cross join lateral generate_series(1, cardinality(p.parts) - 1) n
    cross join lateral (select right(p.parts[n], ${constant(LOCAL)} + 1) as before,
      coalesce(substring(left(p.parts[n + 1], ${constant(DOMAIN)}) from ${literal(ENDS)}), '') as behind offset 0) a
    cross join lateral (select s.at from generate_series(1, length(a.before)) s(at)
      where s.at = 1 or ${begins(sql`a.before`, sql`s.at`)} or left(a.before, s.at - 1) ~ ${literal(ESCAPED)} offset 0) b
    cross join lateral (select s.at from generate_series(1, length(a.behind)) s(at)
      where s.at = length(a.behind) or ${ends(sql`a.behind`, sql`s.at`)} offset 0) e
    where ${test(address)}))`;
}
