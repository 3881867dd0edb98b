/** What a job's law comes to: until when nothing is asked, and what that knowledge rests on. */
import { createHash } from 'node:crypto';
import deployed from '../../vercel.json';
import type { NextLook } from '../platform/job';
import { versionOf } from '../policies/fingerprint';
import { nextRun } from '../policies/next-run';
import type { Services } from '../services';

/** A call a moment before its schedule stands for it, as in the judgment of lateness. */
const EARLY_MS = 60_000;
const HALF_A_DAY_MS = 12 * 3_600_000;

/** Null: each call asks. `daily`: a schedule of once a day. */
export function untilOf(
  nextLook: NextLook | undefined,
  at: { readonly looked: Date; readonly daily: string; readonly safetySeconds: number },
): Date | null {
  if (nextLook === undefined) return null;
  const safety = new Date(at.looked.getTime() + at.safetySeconds * 1000);
  if (nextLook === null) return safety;
  return earlier(nextLook === 'daily' ? nextDay(at.daily, at.looked) : nextLook, safety);
}

/** The time of the schedule after the one a look now stands for: the one it is nearest to. */
function nextDay(daily: string, looked: Date): Date {
  const next = nextRun(daily, new Date(looked.getTime() + HALF_A_DAY_MS));
  return new Date((next ?? looked).getTime() - EARLY_MS);
}

const earlier = (a: Date, b: Date): Date => (a < b ? a : b);

/** Only where things are really done is anything known: elsewhere each call asks, as little as there is to ask. */
export const mayKnow = ({ settings }: Services): boolean =>
  settings.production && !settings.dryRun && settings.safetyLookSeconds > 0;

const KNOWN = new WeakMap<Services, string>();

/** Of another release, schedule, declaration or setting nothing is known: what was found may not hold under it. */
function basisOf(services: Services): string {
  const found = KNOWN.get(services) ?? fingerprint(services);
  KNOWN.set(services, found);
  return found;
}

function fingerprint({ settings, policies, orderReview, blob }: Services): string {
  const { release, environment, dryRun, sla, guards, safetyLookSeconds, reconcileDelete } = settings;
  const { stripeKey, stripeBase: _, ...orders } = settings.orders;
  const restsOn = [
    { release, environment, dryRun, sla, guards, safetyLookSeconds, reconcileDelete, orders },
    { store: blob !== undefined, provider: stripeKey !== undefined, orderReview },
    policies.map((p) => [p.name, versionOf(p), p.schedule, p.allowedSeconds, p.allowedLatenessSeconds]),
    deployed.crons,
  ];
  return createHash('sha256').update(JSON.stringify(restsOn)).digest('hex').slice(0, 16);
}

/** How to ask Redis what is known now. */
export const knowing = (services: Services, now: Date) => ({
  now,
  basis: basisOf(services),
  safetySeconds: services.settings.safetyLookSeconds,
});
