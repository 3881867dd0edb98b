/** Batches side by side: how many a server bears, and waiting for all of them. */
import type { Server } from '../statement/server';

/** Where the server does not say how many cores it has: a third lane on two cores slows the other two down. */
const UNKNOWN = 2;
/** On four cores a fourth lane gained nothing; of larger servers nothing was measured. */
const MOST = 4;
/** PostgreSQL's own default, whatever it runs on. */
const SAYS_NOTHING = 8;
/** Neon's table of compute sizes: 419 a unit, which is one core, and 4,000 from nine units on. */
const NEON_CONNECTIONS = 419;

/** One core is left to everybody else. */
export function lanesOf({ neon, connections, workers }: Server): number {
  const cores = neon ? Math.round(connections / NEON_CONNECTIONS) : workers;
  if (!neon && workers === SAYS_NOTHING) return UNKNOWN;
  return Math.max(1, Math.min(MOST, cores - 1));
}

/** Waits for all lanes, then throws what the first that failed threw. */
export async function inLanes(lanes: number, lane: (first: boolean) => Promise<void>): Promise<void> {
  const ended = await Promise.allSettled(Array.from({ length: lanes }, (_, i) => lane(i === 0)));
  const failed = ended.find((e) => e.status === 'rejected');
  if (failed) throw failed.reason;
}
