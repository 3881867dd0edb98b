/** Transform: from rows as they were read to the lines of an archive, and to what the batch and the record need of them. */
import type { Row } from './extract';

/** One row of an archive. */
export interface Line {
  /** Its key, the key of the row it goes with, and whose it is. */
  readonly k: string;
  readonly p?: string;
  readonly o?: string;
  readonly u?: string;
  /** Its values as PostgreSQL prints them, in the order of the manifest's columns. */
  readonly v: readonly (string | null)[];
  /** Pathnames of its files. */
  readonly f?: readonly string[];
}

export function lineOf({ key, parent, organization, user, values, files }: Row): Line {
  return {
    k: key,
    ...(parent === null ? {} : { p: parent }),
    ...(organization === null ? {} : { o: organization }),
    ...(user === null ? {} : { u: user }),
    v: values,
    ...(files.length === 0 ? {} : { f: files }),
  };
}

interface Subject {
  readonly scope: 'organization' | 'user';
  readonly subject: string;
  readonly rows: number;
}

/** What one table of an archive comes to. */
export class Told {
  readonly #versions = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  add({ key, version, parent }: Row): void {
    this.#versions.set(key, version);
    if (parent !== null) this.#counts.set(parent, (this.#counts.get(parent) ?? 0) + 1);
  }

  /** The version of each row, by its key. */
  get versions(): Record<string, string> {
    return Object.fromEntries(this.#versions);
  }

  /** How many go with each row, by its key. */
  get counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}

/** Whose rows an archive holds; a row that goes along also belongs to whom its own row names. */
export class Subjects {
  readonly #counts = new Map<string, Subject>();

  add({ organization, user }: Pick<Row, 'organization' | 'user'>): void {
    if (organization !== null) this.#count('organization', organization);
    if (user !== null) this.#count('user', user);
  }

  #count(scope: Subject['scope'], subject: string): void {
    const key = `${scope}:${subject}`;
    this.#counts.set(key, { scope, subject, rows: (this.#counts.get(key)?.rows ?? 0) + 1 });
  }

  get all(): readonly Subject[] {
    return [...this.#counts.values()];
  }
}
