/**
 * A store that fails at random: errors, lost requests, lost answers, rate limits, and answers that come after
 * the time limit. What happens to a call follows from the seed, from what is asked and from how often it was asked before,
 * so that the same seed brings the same misfortunes in whatever order calls under way at once arrive.
 */
import { createHash } from 'node:crypto';
import { HEAD_TIMEOUT_MS } from '../../platform/blob';

interface Request {
  readonly service: string;
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}
type Misfortune =
  | { readonly kind: 'refuse'; readonly status: number; readonly code: string; readonly retryAfter?: number }
  | { readonly kind: 'drop-before' }
  | { readonly kind: 'drop-after' }
  | { readonly kind: 'delay'; readonly ms: number };

export interface Chaos {
  readonly faults: (request: Request) => Misfortune | undefined;
  readonly counts: { calls: number; failed: number };
}

/** `share` of all blob calls fail. `late`: some of them by an answer after the client's time limit, in real time. */
export function chaos(share: number, seed: number, late = false): Chaos {
  const asked = new Map<string, number>();
  const counts = { calls: 0, failed: 0 };
  const faults = (request: Request): Misfortune | undefined => {
    if (request.service !== 'blob') return undefined;
    counts.calls += 1;
    const what = `${request.method} ${request.path} ${JSON.stringify(request.body)}`;
    const times = (asked.get(what) ?? 0) + 1;
    asked.set(what, times);
    const random = randomOf(createHash('sha256').update(`${seed} ${times} ${what}`).digest().readUInt32LE());
    if (random() >= share) return undefined;
    counts.failed += 1;
    const kind = random();
    if (late && kind < 0.01) return { kind: 'delay', ms: HEAD_TIMEOUT_MS + 6_000 };
    if (kind < 0.25) return { kind: 'refuse', status: 500, code: 'internal_server_error' };
    if (kind < 0.45) return { kind: 'refuse', status: 503, code: 'service_unavailable' };
    if (kind < 0.65) return { kind: 'drop-before' };
    if (kind < 0.9) return { kind: 'drop-after' };
    return { kind: 'refuse', status: 429, code: 'rate_limited', retryAfter: 1 };
  };
  return { faults, counts };
}

/** Mulberry32: small, and the same everywhere for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
