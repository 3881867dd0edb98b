/**
 * How much one answer of the database may hold: Neon sends at most 10 MiB in all (PLATFORM §B6). Answers are JSON, so a text counts as
 * JSON writes it: a quote, a backslash or a line break as two letters, and once more for each JSON that it stands in.
 */
import { type Sql, sql } from './sql';

/** The rest is for what stands around the rows. */
export const MOST_ANSWER_BYTES = 9 * 1024 * 1024;

/** Bytes of a text of an answer. */
export const bytesInAnswer = (text: Sql): Sql => sql`octet_length(to_json(${text})::text)`;
