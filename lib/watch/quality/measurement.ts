/** One measurement of governed data, as it is stored, reported and judged (M6). */
export const MEASURES = ['completeness', 'timeliness', 'reference', 'uniqueness', 'profile'] as const;
type Measure = (typeof MEASURES)[number];
/** `guarded`: a constraint makes it impossible. `unknown`: it could not be measured. */
export const STATUSES = ['ok', 'breached', 'guarded', 'unknown'] as const;

export interface Measurement {
  readonly policy: string;
  readonly measure: Measure;
  /** The column, or the table with its columns. */
  readonly subject: string;
  readonly status: (typeof STATUSES)[number];
  readonly found: number | null;
  readonly lookedAt: number | null;
  readonly share: number | null;
  /** The declared threshold; null where any share is expected. */
  readonly most: number | null;
  /** Of a sample of the table's blocks: none found there does not mean none there. */
  readonly sampled: boolean;
  /** Some rows at fault, at most MOST_KEYS; never more of a row than its key. */
  readonly keys: readonly string[];
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Enough to look at one and see what is wrong. */
export const MOST_KEYS = 5;

export type About = Pick<Measurement, 'policy' | 'measure' | 'subject'>;

/** Beyond the threshold it is breached. `lookedAt` may be an estimate, so it is never below `found`. */
export function judged(
  about: About,
  counts: { found: number; lookedAt: number; most: number | null; sampled: boolean; keys: readonly string[] },
  detail: Measurement['detail'] = {},
): Measurement {
  const lookedAt = Math.max(counts.found, counts.lookedAt);
  const share = lookedAt === 0 ? 0 : counts.found / lookedAt;
  const status = counts.most !== null && share > counts.most ? 'breached' : 'ok';
  return { ...about, ...counts, status, lookedAt, share, keys: counts.keys.slice(0, MOST_KEYS), detail };
}

const nothing = { found: null, lookedAt: null, share: null, sampled: false, keys: [] };

export const guarded = (about: About, by: string): Measurement => ({
  ...about,
  ...nothing,
  status: 'guarded',
  most: null,
  detail: { by },
});

export const unknown = (about: About, why: string, remedy: string): Measurement => ({
  ...about,
  ...nothing,
  status: 'unknown',
  most: null,
  detail: { why, remedy },
});
