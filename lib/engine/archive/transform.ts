/** Transform: from rows as they were read to the lines of an archive, and to what the batch and the record need of them. */
import type { Row } from './extract';

/** One row of an archive. */
export interface Line {
  /** Its key, the key of the governed row it refers to, and whose it is. */
  readonly k: string;
  readonly p?: string;
  /** Where it refers to more than that: `<place>:<key>` of each row above it, the governed table being place 0. */
  readonly a?: readonly string[];
  readonly o?: string;
  readonly u?: string;
  /** Its values as PostgreSQL prints them, in the order of the manifest's columns. */
  readonly v: readonly (string | null)[];
  /** Pathnames of its files. */
  readonly f?: readonly string[];
  /** It stays for now, with no values here: rows below it are archived, and are reached through it. */
  readonly s?: true;
}

const OF_GOVERNED = '0:';

export function lineOf({ key, above, organization, user, values, files }: Row, stays = false): Line {
  const [first, ...more] = above;
  const isPlain = more.length === 0 && first?.startsWith(OF_GOVERNED);
  return {
    k: key,
    ...(first === undefined ? {} : isPlain ? { p: first.slice(OF_GOVERNED.length) } : { a: above }),
    ...(organization === null ? {} : { o: organization }),
    ...(user === null ? {} : { u: user }),
    v: values,
    ...(files.length === 0 ? {} : { f: files }),
    ...(stays ? { s: true } : {}),
  };
}

/** The rows above it, as `<place>:<key>`. */
export const aboveOf = ({ p, a }: Line): readonly string[] => a ?? (p === undefined ? [] : [OF_GOVERNED + p]);

interface Subject {
  readonly scope: 'organization' | 'user';
  readonly subject: string;
  readonly rows: number;
}

/** By the key of a row, which may be any text: without a prototype `__proto__` is one like the others. */
const byKey = <T>(): Record<string, T> => Object.create(null) as Record<string, T>;

/** What the batch has to know of the rows that it deletes. */
export class Told {
  /** The version of each governed row, by its key. */
  readonly versions: Record<string, string> = byKey();
  readonly n: number[] = [];
  readonly keys: string[] = [];
  readonly rowVersions: string[] = [];
  /** How many go with each governed row, by its key. */
  readonly below: Record<string, number> = byKey();

  add(n: number, { key, version, root }: Row & { readonly root: string }, stays: boolean): void {
    if (n === 0) this.versions[key] = version;
    if (stays) return;
    this.n.push(n);
    this.keys.push(key);
    this.rowVersions.push(version);
    if (n > 0) this.below[root] = (this.below[root] ?? 0) + 1;
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
