/**
 * What should happen, counted without the database and without Lapse's own code: which message each organization gets on which
 * day, and which row is gone after which run. Days are numbered from the first; times are days, too.
 */

export interface Rule {
  readonly policy: string;
  readonly keepDays: number;
  readonly thresholds: readonly number[];
  readonly requiredDays?: number;
  readonly extendDays?: number;
}

export interface Thing {
  readonly id: string;
  readonly policy: string;
  readonly org: string;
  /** When its clock began. */
  readonly at: number;
  keptUntil: number;
  /** Of the first delivered message that covers it. */
  toldOn: number | null;
  readonly toldAt: Set<number>;
  goneOn: number | null;
}

/** What a message says of one policy at one threshold. */
export interface Said {
  readonly policy: string;
  readonly threshold: number;
  readonly found: number;
  readonly rows: readonly Thing[];
}

/** A horizon lies a whole day further than its threshold. */
const horizonOf = (day: number, threshold: number): number => day + threshold + 2;

export class Oracle {
  readonly things: Thing[] = [];

  constructor(readonly rules: readonly Rule[]) {}

  #dueOf({ policy, at }: Thing): number {
    return at + this.rules.find((r) => r.policy === policy)!.keepDays;
  }

  /** The message of an organization on a day; empty: there is none. */
  message(org: string, day: number): Said[] {
    return this.rules.flatMap((rule) => {
      let nearer = Number.NEGATIVE_INFINITY;
      return [...rule.thresholds]
        .sort((a, b) => a - b)
        .flatMap((threshold) => {
          const horizon = horizonOf(day, threshold);
          const from = nearer;
          nearer = horizon;
          const rows = this.#left(rule.policy, org).filter((t) => {
            const due = this.#dueOf(t);
            return due >= from && due < horizon && !t.toldAt.has(threshold);
          });
          const found = rows.filter((t) => t.keptUntil <= horizon).length;
          return found > 0 ? [{ policy: rule.policy, threshold, found, rows }] : [];
        });
    });
  }

  #left(policy: string, org: string): Thing[] {
    return this.things.filter((t) => t.policy === policy && t.org === org && t.goneOn === null);
  }

  /** The message was taken by the mail server. */
  deliver(org: string, day: number, said: readonly Said[]): void {
    for (const { policy, threshold } of said) {
      for (const t of this.#left(policy, org)) {
        if (this.#dueOf(t) >= horizonOf(day, threshold)) continue;
        t.toldAt.add(threshold);
        t.toldOn ??= day;
      }
    }
  }

  /** The rows of one part are kept by its link. */
  extend(day: number, { policy, threshold, rows }: Said): void {
    const days = this.rules.find((r) => r.policy === policy)!.extendDays!;
    for (const t of rows) t.keptUntil = Math.max(t.keptUntil, horizonOf(day, threshold) + days);
  }

  /** A run at that hour of a day: everything that is due goes, but what is kept and what nobody was told of in time. */
  run(day: number, hour: number): void {
    const now = day + hour / 24;
    for (const t of this.things) {
      const due = this.#dueOf(t);
      const rule = this.rules.find((r) => r.policy === t.policy)!;
      const { requiredDays } = rule;
      const told =
        requiredDays === undefined ||
        (t.toldOn !== null && t.toldOn + requiredDays + 1 + (due - Math.floor(due)) <= now);
      if (t.goneOn === null && due < now && t.keptUntil <= now && told) t.goneOn = day;
    }
  }
}
