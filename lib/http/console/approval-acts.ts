/**
 * Letting more be deleted than by itself: a guard stop approved, a step of the rollout raised, a breaker closed, a lock released.
 * Each is typed, with a reason, and bound to what was looked at; keeping it stopped is one click.
 */
import { z } from 'zod';
import { openBreakers } from '../../engine/guard/breaker';
import { leaseSeconds } from '../../engine/run/checkpoint';
import { RequestError } from '../../platform/errors';
import { type Services, services } from '../../services';
import { actRoute } from './act';
import { guardStop, refuseStale } from './approval';
import { policyNamed } from './policy';
import { confirmed, digest, policy, reason, take } from './take';
import { countOf } from './words';

const of = (page: string) => (typed: Readonly<Record<string, string>>) =>
  `/policies/${encodeURIComponent(typed.policy ?? '')}/${page}`;

export const approveRoute = (provide: () => Services = services) =>
  actRoute(
    {
      needs: 'approve',
      form: z.strictObject({ policy, digest, confirm: z.string(), reason }),
      back: of('approve'),
      work: async (by, { confirm, ...input }) => {
        const stop = await guardStop(by.services, input.policy, by.who.name);
        confirmed(confirm, input.policy);
        const { expired, approved_by: approved } = refuseStale(stop, input.digest);
        if (approved !== null) return `${approved} has approved this preview already.`;
        if (stop.notYou !== null)
          throw new RequestError(409, 'second_person', `${stop.notYou} Nothing was changed`);
        await take(by, { action: 'approval.give', ...input });
        return `Approved: the next run of ${input.policy} deletes these ${countOf(expired)} rows, if they are still the same.`;
      },
    },
    provide,
  );

export const raiseRoute = (provide: () => Services = services) =>
  actRoute(
    {
      needs: 'approve',
      form: z.strictObject({
        policy,
        version: z.string(),
        seen: z.coerce.number().int(),
        confirm: z.string(),
        reason,
      }),
      back: of('rollout'),
      work: async (by, { confirm, ...input }) => {
        confirmed(confirm, policyNamed(by.services, input.policy).name);
        await take(by, { action: 'rollout.raise', ...input });
        const { step } = await guardStop(by.services, input.policy, by.who.name);
        return `Raised: the next run of ${input.policy} may delete ${step === null ? 'all that has expired' : `up to ${countOf(step)} rows`}.`;
      },
    },
    provide,
  );

export const closeBreakerRoute = (provide: () => Services = services) =>
  actRoute(
    {
      needs: 'operate',
      form: z.strictObject({ policy, reason }),
      back: of('breaker'),
      work: async (by, input) => {
        const { name } = policyNamed(by.services, input.policy);
        const open = (await openBreakers(by.services.redis, [name])).get(name) ?? 0;
        if (open === 0) return `The breaker of ${name} is closed already.`;
        await take(by, { action: 'breaker.close', ...input });
        return `The breaker of ${name} is closed: its next run tries again.`;
      },
    },
    provide,
  );

export const releaseLockRoute = (provide: () => Services = services) =>
  actRoute(
    {
      needs: 'operate',
      form: z.strictObject({ policy, confirm: z.string(), reason }),
      back: of('lock'),
      work: async (by, { confirm, ...input }) => {
        const { name } = policyNamed(by.services, input.policy);
        confirmed(confirm, name);
        const left = await leaseSeconds(by.services.redis, name);
        if (left > 0) {
          throw new RequestError(
            409,
            'lease_held',
            `a run of ${name} is at work: its lease lasts for another ${left} s and is renewed with each batch. Stop the run, or come back when the lease has ended. Nothing was changed`,
          );
        }
        await take(by, { action: 'lease.release', ...input });
        return `The lock of ${name} is released: the old runner can delete nothing more.`;
      },
    },
    provide,
  );
