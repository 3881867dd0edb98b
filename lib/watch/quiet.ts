/**
 * The watch without PostgreSQL: what it saw there last, and who has come since, are in Redis (lib/platform/looks.ts).
 * Judged again at each call: as long as the judgment is the same there is nothing to tell. Where it is another, or
 * anything is missing or cannot be read, PostgreSQL is asked.
 */
import { z } from 'zod';
import { WATCH_JOB } from '../platform/jobs';
import { dueOf, type Known } from '../platform/looks';
import type { Outcome } from '../platform/outcome';
import type { Services } from '../services';
import { allExpected, type Expected } from './expected';
import { type Attendance, judge } from './judge';
import { knowing } from './next-look';

const Instant = z.coerce.date();
const Note = z.object({
  startedAt: Instant,
  finishedAt: Instant,
  /** Start of the latest that did its work, or came when there was none to do. */
  workedAt: Instant.nullable(),
  outcome: z.string(),
  reason: z.string().nullable(),
  /** Null: as it was. */
  slaStatus: z.string().nullable(),
});
export type Note = z.infer<typeof Note>;

const Watched = z.record(
  z.string(),
  z.object({
    expectedSince: Instant,
    startedAt: Instant.nullable(),
    finishedAt: Instant.nullable(),
    workedAt: Instant.nullable(),
    outcome: z.string().nullable(),
    reason: z.string().nullable(),
    slaStatus: z.string().nullable(),
    stopped: z.enum(['paused', 'stopped']).nullable(),
  }),
);
const Seen = z.object({ symptoms: z.array(z.string()), attended: Watched });

export const IDLE: { readonly outcome: Outcome; readonly reason: string } = {
  outcome: 'skipped',
  reason: 'idle',
};

/** Nothing was to be done, and PostgreSQL was not asked. */
export const isIdle = ({ reason }: { readonly reason: string | null }): boolean => reason === IDLE.reason;

/** Of a call that had nothing to ask. */
export const idleNote = (now: Date): string =>
  noteText({ startedAt: now, finishedAt: now, workedAt: now, slaStatus: null, ...IDLE });

export const noteText = (note: Note): string => JSON.stringify(note);

/** Who has come, by name; what cannot be read has not. */
export function notesIn({ fields }: Pick<Known, 'fields'>): Map<string, Note> {
  const notes = new Map<string, Note>();
  for (const [field, text] of fields) {
    const note = field.startsWith('came:') ? read(Note, text) : null;
    if (note) notes.set(field.slice('came:'.length), note);
  }
  return notes;
}

/** What the watch writes down when it has looked. */
export const seenText = (attended: ReadonlyMap<string, Attendance>, symptoms: readonly string[]): string =>
  JSON.stringify({ symptoms, attended: Object.fromEntries(attended) });

/** Nothing that PostgreSQL would have to be told or asked. */
export function isQuiet(services: Services, known: Known, now: Date): boolean {
  if (dueOf(known.fields, WATCH_JOB, knowing(services, now)).due <= now) return false;
  const seen = read(Seen, known.fields.get('watched') ?? '');
  if (!seen) return false;
  const notes = notesIn(known);
  const all = allExpected(services);
  if (!all.every((e) => seen.attended[e.name])) return false;
  const judged = all.map((e) => [e, withNote(seen.attended[e.name]!, notes.get(e.name))] as const);
  return sameList(symptomsOf(judged, now, services.settings.sla), seen.symptoms);
}

/** What is wrong with these, each as a word that stays the same while it lasts. */
export const symptomsOf = (
  judged: readonly (readonly [Expected, Attendance])[],
  now: Date,
  sla: Services['settings']['sla'],
): string[] =>
  judged
    .flatMap(([expected, attended]) => judge(expected, attended, now, sla).symptoms)
    .map(({ cause, severity }) => `${severity} ${cause}`)
    .sort();

function withNote(attended: Attendance, note: Note | undefined): Attendance {
  if (!note) return attended;
  const isNewer = attended.finishedAt === null || note.finishedAt > attended.finishedAt;
  return {
    ...attended,
    startedAt: later(attended.startedAt, note.startedAt),
    finishedAt: later(attended.finishedAt, note.finishedAt),
    workedAt: later(attended.workedAt, note.workedAt),
    ...(isNewer ? { outcome: note.outcome, reason: note.reason } : {}),
    ...(isNewer && note.slaStatus !== null ? { slaStatus: note.slaStatus } : {}),
  };
}

const later = (a: Date | null, b: Date | null): Date | null => (a && (!b || a > b) ? a : b);

const sameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((word, i) => word === b[i]);

function read<T>(shape: z.ZodType<T>, text: string): T | null {
  try {
    return shape.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
