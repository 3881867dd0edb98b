/** What a test knows of an act: where its form is, what a person types into it, and what the database says of it afterwards. */
import type { Person } from '@/lib/dev/demo/scene';
import type { Console } from '../support/console';

/** The store that the console shows, and its services for what no form prepares: a lease, a breaker. */
export type World = Pick<Console, 'db' | 'scene' | 'services'>;
type Of<T> = T | ((w: World) => Promise<T>);

export interface ActOf {
  /** Its folder below app/acts. */
  readonly route: string;
  /** The page whose form it is. */
  readonly page: Of<string>;
  /** The id of the form, or how it begins. */
  readonly form: string;
  /** Who may. */
  readonly by: Person;
  /** Who may not, although they may look. */
  readonly notBy: Person;
  /** What has to be so before it can be done. */
  readonly prepare?: (w: World) => Promise<unknown>;
  /** What to unfold until the form is visible. */
  readonly open?: string;
  /** What is written, chosen or checked, by its label; beside the name, which stands in its own label. */
  readonly typed?: Of<Readonly<Record<string, string>>>;
  readonly press: string | RegExp;
  /** The words of the answer. */
  readonly says: RegExp;
  /** What it changes: another answer after it than before. Null: it only looks something up. */
  readonly state: ((w: World) => Promise<unknown>) | null;
  /** What the answer says when the same form comes a second time; `repeats`: there are two of it then. */
  readonly twice: RegExp;
  readonly repeats?: boolean;
  /** Lets more be deleted: what its form names is typed, letter by letter. */
  readonly typesName?: true;
  /** What it was bound to changes after the page was read; and the words of the refusal. */
  readonly stale?: { readonly change: (w: World) => Promise<unknown>; readonly refusal: RegExp };
}

export const REASON = 'a test of the browser';

export const resolved = <T>(of: Of<T>, w: World): Promise<T> =>
  typeof of === 'function' ? (of as (w: World) => Promise<T>)(w) : Promise.resolve(of);

export async function one({ db }: Pick<World, 'db'>, text: string): Promise<Record<string, string>> {
  const [row] = await db.sql<Record<string, string>>(text);
  if (!row) throw new Error(`there is no row for: ${text}`);
  return row;
}

export const rows =
  (text: string) =>
  ({ db }: World): Promise<unknown> =>
    db.sql(text);
