/** What a rehearsal must show, step by step, and what it showed. */
export interface Check {
  readonly what: string;
  readonly ok: boolean;
  /** Empty where it is what was expected. */
  readonly found: string;
}

export class Checks {
  readonly all: Check[] = [];

  see(what: string, expected: unknown, found: unknown): void {
    const [wanted, seen] = [JSON.stringify(expected), JSON.stringify(found)];
    this.all.push({
      what,
      ok: wanted === seen,
      found: wanted === seen ? '' : `${seen} instead of ${wanted}`,
    });
  }
}
