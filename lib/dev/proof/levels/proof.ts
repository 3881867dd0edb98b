/** All cases: each statement of the first batches, each level, each act, in each form and size; or some of them, chosen by a seed. */
import { Rolls } from '../shapes/rolls';
import type { Place, World } from '../shapes/world';
import { actOf, KINDS } from './disturbances';
import { viewsOf } from './judgment';
import { SHUT } from './pause';
import { FORMS, type Form, LEVELS, tablesOf } from './tables';
import { type Case, type Outcome, type Size, Trial } from './trial';

/** Of a batch of a form, the session's first included; those that take references away have more. */
const STATEMENTS: Readonly<Record<Form, number>> = { chain: 6, thread: 6, folders: 6, marks: 8 };
const STOPPED: Readonly<Record<Size, readonly number[]>> = { whole: [0], cut: [0, 1], apart: [0, 1, 2] };

export interface LevelsProof {
  readonly cases: number;
  /** In which the act was done while the batch stood still, or after it. */
  readonly done: number;
  /** In which one waited for the other. */
  readonly waited: number;
  readonly problems: readonly string[];
}

export function allCases(): Case[] {
  const cases: Omit<Case, 'number'>[] = FORMS.flatMap((form) =>
    (Object.keys(STOPPED) as Size[]).flatMap((size) =>
      STOPPED[size].flatMap((batch) =>
        Array.from({ length: STATEMENTS[form] }, (_, i) => i + 1).flatMap((statement) =>
          LEVELS.flatMap((level) => KINDS.map((kind) => ({ form, size, kind, level, batch, statement }))),
        ),
      ),
    ),
  );
  return cases
    .filter((c) => actOf(c.form, c.kind, c.level, 0) !== null)
    .map((c, number) => ({ ...c, number }));
}

/** So many of them, each as likely. */
export function someCases(seed: number, most: number): Case[] {
  const all = allCases();
  const rolls = new Rolls(seed, most);
  const chosen: Case[] = [];
  while (chosen.length < most && all.length > 0) {
    const one = rolls.of(all);
    all.splice(all.indexOf(one), 1);
    chosen.push(one);
  }
  return chosen;
}

export async function proveLevels(
  world: World,
  cases: readonly Case[],
  say: (line: string) => void,
): Promise<LevelsProof> {
  const outcomes = await Promise.all(
    FORMS.map((form) =>
      inForm(
        world,
        form,
        cases.filter((c) => c.form === form),
        say,
      ),
    ),
  );
  const all = outcomes.flat();
  return {
    cases: all.length,
    done: all.filter((o) => o.done).length,
    waited: all.filter((o) => o.waited).length,
    problems: all.flatMap((o) => o.problems),
  };
}

/** One after the other, in a database of their own. */
async function inForm(
  world: World,
  form: Form,
  cases: readonly Case[],
  say: (line: string) => void,
): Promise<Outcome[]> {
  if (cases.length === 0) return [];
  const place = await world.place();
  try {
    const sessions = await prepared(place, form);
    const outcomes: Outcome[] = [];
    for (const one of cases) {
      const outcome = await new Trial(place, sessions, one).run();
      for (const problem of outcome.problems) say(problem);
      outcomes.push(outcome);
    }
    return outcomes;
  } finally {
    await place.end();
  }
}

async function prepared(place: Place, form: Form) {
  await place.owner.query(tablesOf(form));
  await place.owner.query(viewsOf(form));
  const gate = await place.another();
  await gate.query(SHUT);
  return { gate, other: await place.another() };
}
