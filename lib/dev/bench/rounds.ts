/** Rounds in alternation: each begins with another way, so that none always has the quieter machine. Medians count. */
import { begin, say } from './progress';

/** Runs every way `rounds` times; returns what each came to, round by round, and prints it as it comes. */
export async function alternate<Name extends string, T extends { readonly perSecond: number }>(
  title: string,
  rounds: number,
  ways: Readonly<Record<Name, () => Promise<T>>>,
): Promise<Record<Name, T[]>> {
  const names = Object.keys(ways) as Name[];
  const seen = Object.fromEntries(names.map((name) => [name, [] as T[]])) as Record<Name, T[]>;
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      begin(`${title}: round ${round + 1} of ${rounds}, ${name}`);
      const came = await ways[name]();
      seen[name].push(came);
      say(`round ${round + 1}: ${name}: ${Math.round(came.perSecond).toLocaleString('en')} a second`);
    }
  }
  return seen;
}

export function median(n: readonly number[]): number {
  const sorted = [...n].sort((a, b) => a - b);
  const [below, above] = [sorted[Math.floor((n.length - 1) / 2)], sorted[Math.floor(n.length / 2)]];
  return ((below ?? 0) + (above ?? 0)) / 2;
}
