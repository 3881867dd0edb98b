/** Erasures of many random schemas, some at a time; what was wrong is left in a file each, to be read and run again. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LocalCloud } from '../../local-cloud';
import type { ProofOptions } from '../shapes/proof';
import { world } from '../shapes/world';
import { generate } from './generate';
import { KINDS } from './shape';
import { attempt, settingsOf, type Trial } from './trial';

export interface Proof {
  readonly trials: readonly Trial[];
}

export async function prove(cloud: LocalCloud, o: ProofOptions): Promise<Proof> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const here = await world(
    cloud,
    settingsOf(privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')),
  );
  const waiting = [...o.numbers];
  const trials: Trial[] = [];
  const lane = async () => {
    for (let number = waiting.shift(); number !== undefined; number = waiting.shift()) {
      const trial = await attempt(here, cloud, generate(o.seed, number));
      trials.push(trial);
      if (trial.verdict === 'wrong' || o.keepAll) leave(trial, o);
      if (trials.length % 100 === 0) o.say(`${trials.length} of ${o.numbers.length}`);
    }
  };
  try {
    await Promise.all(Array.from({ length: o.lanes }, lane));
  } finally {
    await here.end();
  }
  return { trials: trials.sort((a, b) => a.number - b.number) };
}

function leave(trial: Trial, { folder, seed, say }: ProofOptions): void {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `erasure-${seed}-${trial.number}.sql`);
  writeFileSync(file, `${trial.replay.join('\n')}\n`);
  const again = `--erasures --seed ${seed} --only ${trial.number}; ${file}`;
  say(
    [`${trial.verdict}: schema ${trial.number} (${again})`, ...trial.problems.map((p) => `  ${p}`)].join(
      '\n',
    ),
  );
}

/** `refused because … : n`, `with …` for each kind, what went and what stayed, and the last line. */
export function inWords({ trials }: Proof): string[] {
  const counts = new Map<string, number>();
  for (const kind of trials.flatMap((t) => [...new Set(t.refusals)]))
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const of = (verdict: Trial['verdict'], among = trials) => among.filter((t) => t.verdict === verdict).length;
  const sum = (figure: (t: Trial) => number) => trials.reduce((all, t) => all + figure(t), 0);
  const some = (is: (t: Trial) => boolean) => trials.filter(is).length;
  return [
    ...[...counts]
      .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
      .map(([kind, n]) => `refused because ${kind}: ${n}`),
    ...KINDS.map((kind) => {
      const those = trials.filter((t) => t.kinds.includes(kind));
      return `with ${kind}: ${those.length} (${of('exact', those)} exact, ${of('refused', those)} refused, ${of('wrong', those)} wrong)`;
    }),
    `${some((t) => t.done)} erasures were done and certified, ${some((t) => t.stuck > 0)} stay open because of holds or circles (${sum((t) => t.stuck)} rows), ${some((t) => t.leftBehind)} because the check found what the map forgot`,
    `${sum((t) => t.rows)} rows looked at, ${sum((t) => t.gone)} of them erased, ${sum((t) => t.changed)} changed, ${sum((t) => t.files)} files gone`,
    `${trials.length} schemas: ${of('exact')} exact, ${of('refused')} refused, ${of('wrong')} wrong`,
  ];
}
