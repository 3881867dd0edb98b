/** Many schemas, some at a time; what was wrong is left in a file each, to be read and run again. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from './generate';
import { countedByKind } from './kinds';
import { attempt, type Trial } from './trial';
import type { World } from './world';

export interface ProofOptions {
  readonly seed: number;
  readonly numbers: readonly number[];
  /** How many at a time: the database's work and this process's overlap. */
  readonly lanes: number;
  /** Where replays are left. */
  readonly folder: string;
  /** Of every schema, whatever came of it. */
  readonly keepAll: boolean;
  readonly say: (line: string) => void;
}

export interface Proof {
  readonly trials: readonly Trial[];
}

export async function prove(world: World, o: ProofOptions): Promise<Proof> {
  const waiting = [...o.numbers];
  const trials: Trial[] = [];
  const lane = async () => {
    for (let number = waiting.shift(); number !== undefined; number = waiting.shift()) {
      const trial = await attempt(world, generate(o.seed, number));
      trials.push(trial);
      if (trial.verdict === 'wrong' || o.keepAll) leave(trial, o);
      if (trials.length % 100 === 0) o.say(`${trials.length} of ${o.numbers.length}`);
    }
  };
  await Promise.all(Array.from({ length: o.lanes }, lane));
  return { trials: trials.sort((a, b) => a.number - b.number) };
}

function leave(trial: Trial, { folder, seed, say }: ProofOptions): void {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${seed}-${trial.number}.sql`);
  writeFileSync(file, `${trial.replay.join('\n')}\n`);
  if (trial.verdict === 'wrong')
    say(
      `wrong: schema ${trial.number} (--seed ${seed} --only ${trial.number}; ${file})\n${trial.problems.map((p) => `  ${p}`).join('\n')}`,
    );
  else say(`${trial.verdict}: schema ${trial.number}: ${file}`);
}

/** `refused because … : n` by kind, most often first, `with …` for each kind of shape, and the last line. */
export function inWords({ trials }: Proof): string[] {
  const counts = new Map<string, number>();
  for (const kind of trials.flatMap((t) => [...new Set(t.refusals)]))
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const of = (verdict: Trial['verdict']) => trials.filter((t) => t.verdict === verdict).length;
  const forGood = trials.filter((t) => t.verdict === 'refused' && t.forGood).length;
  const sum = (figure: (t: Trial) => number) => trials.reduce((all, t) => all + figure(t), 0);
  return [
    ...[...counts]
      .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
      .map(([kind, n]) => `refused because ${kind}: ${n}`),
    ...countedByKind(trials),
    `of the refused, ${of('refused') - forGood} went exactly once the remedy was followed, ${forGood} can never be governed`,
    ...(sum((t) => t.lost) === 0
      ? []
      : [`${sum((t) => t.lost)} runs got no answer of Redis or the database and were asked again`]),
    `${trials.filter((t) => t.drained.files > 0).length} schemas whose outbox was drained: ${sum((t) => t.drained.files)} files, ${sum((t) => t.drained.kept)} of them kept for a row that names them`,
    `${trials.filter((t) => t.back > 0).length} schemas whose archives were restored: ${sum((t) => t.back)} rows came back, each value as it was`,
    `${sum((t) => t.rows)} rows looked at, ${sum((t) => t.gone)} of them deleted and named in receipts`,
    `${trials.length} schemas: ${of('exact')} exact, ${of('refused')} refused, ${of('wrong')} wrong`,
  ];
}
