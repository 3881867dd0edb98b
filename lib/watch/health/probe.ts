/**
 * One question to one dependency, with a time limit of its own: what fails, or never answers, is a finding and not
 * an error. The first line of `remedy` is what to do; nothing here holds an address, a secret or a row.
 */
import { LapseError } from '../../platform/errors';

export interface Finding {
  readonly status: 'ok' | 'failed' | 'absent';
  readonly message: string;
  /** What to do; null when all is well. */
  readonly remedy: string | null;
}

export interface Check extends Finding {
  readonly name: string;
  readonly latencyMs: number;
}

export interface Probe {
  readonly name: string;
  /** Without it nothing can run: its failure is a 503. */
  readonly required: boolean;
  readonly remedy: string;
  ask(): Promise<Finding>;
}

/** A load balancer waits five seconds by default; after two seconds we treat it as down. */
export const PROBE_MS = 2_000;

export const healthy = (message: string): Finding => ({ status: 'ok', message, remedy: null });

export async function check(probe: Probe, limitMs = PROBE_MS): Promise<Check> {
  const started = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Finding>((done) => {
    timer = setTimeout(
      () => done({ status: 'failed', message: `no answer within ${limitMs} ms`, remedy: probe.remedy }),
      limitMs,
    );
  });
  const asked = (async () => probe.ask())().catch(
    (error: unknown): Finding => ({
      status: 'failed',
      // Only Lapse's own errors are known to hold no row and no address.
      message: error instanceof LapseError ? error.message : 'the check could not run',
      remedy: probe.remedy,
    }),
  );
  try {
    const finding = await Promise.race([asked, late]);
    return { name: probe.name, ...finding, latencyMs: Math.round(performance.now() - started) };
  } finally {
    clearTimeout(timer);
  }
}
