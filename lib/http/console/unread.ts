/** Why something could not be read, for the person on call: a code that names no data, and the next step (docs/RUNBOOK.md has both). */
import { DatabaseError, LapseError, RedisError, RequestError } from '../../platform/errors';

export interface Unread {
  /** `SQLSTATE 42P01`; where PostgreSQL gave none, the code of the log. */
  readonly code: string;
  readonly step: string;
}

const AGAIN = 'Try again in a minute.';
const STEPS: readonly [RegExp, string][] = [
  [
    /^(42P01|42703|42704|42883|3F000)$/,
    'Where it is of schema retention, the database is not of this version of Lapse: run npm run migrate.',
  ],
  [
    /^42501$/,
    'The login of Lapse lacks a right to this. npm run migrate grants what is of schema retention; a table of yours needs GRANT SELECT to lapse_app.',
  ],
  [/^(28|3D)/, 'The database refused the login: compare DATABASE_URL with the project, and deploy again.'],
  [/^53/, 'The database has no connection, memory or disk left: look at the limits of the project.'],
  [
    /^57014$/,
    `It took too long. ${AGAIN} If it takes too long again, pg_stat_activity shows what the database is busy with.`,
  ],
  [/^(55P03|40001|40P01)$/, `Something else holds a lock on it. ${AGAIN}`],
  [/^(08|57P)/, `The database was starting, or the connection was lost. ${AGAIN}`],
];
/** Whether it ran is not known; a page only reads. */
const NO_ANSWER =
  'The database did not answer: as long as it is down nothing is deleted, and nothing can be stopped either. Try again in a minute; then look at the status of its provider, and compare DATABASE_URL with the project.';
const REDIS = `Redis did not answer. ${AGAIN} Stop and pause need PostgreSQL only.`;
const UNKNOWN = `${AGAIN} If it fails again, the log has the error under this reference.`;

export function whyUnread(error: unknown): Unread {
  const code = error instanceof LapseError ? error.code : 'internal';
  if (error instanceof RequestError) return { code, step: sentence(error.message) };
  if (error instanceof RedisError) return { code, step: REDIS };
  if (!(error instanceof DatabaseError)) return { code, step: UNKNOWN };
  const { sqlState } = error;
  // Without a code of PostgreSQL the words are those of lib/platform/database.ts, which say what to do.
  if (sqlState === null) {
    return { code, step: error.failure === 'unknown' ? NO_ANSWER : sentence(error.message) };
  }
  const step = STEPS.find(([state]) => state.test(sqlState))?.[1] ?? UNKNOWN;
  return { code: `SQLSTATE ${sqlState}`, step };
}

const sentence = (text: string): string => `${text[0]!.toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`;
