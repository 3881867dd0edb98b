/** Holds and extensions: placing one protects and asks for a reason; ending one lets rows go and is typed, by another person. */
import { z } from 'zod';
import { RequestError } from '../../platform/errors';
import { type Services, services } from '../../services';
import { extendDay } from '../../watch/calendar/extend-day';
import { type Act, actRoute } from './act';
import { holdOf } from './lists';
import { checkbox, confirmed, dayOf, digest, id, optional, policy, reason, take } from './take';
import { manyOf } from './words';

const route =
  <F extends z.ZodType>(act: Act<F>) =>
  (provide: () => Services = services) =>
    actRoute(act, provide);
const Placed = z.object({
  subject: z.string(),
  covers: z.array(z.object({ rows: z.union([z.number(), z.string()]) })),
});

/** Rows in words, as far as they could be counted. */
export function rowsOf(covers: readonly { readonly rows: number | string }[]): string {
  const known = covers.reduce((sum, c) => sum + (typeof c.rows === 'number' ? c.rows : 0), 0);
  const isMore = covers.some((c) => typeof c.rows === 'string' && c.rows.startsWith('>'));
  const isUnknown = covers.some((c) => c.rows === 'unknown');
  if (isUnknown && known === 0 && !isMore) return 'rows that could not be counted in time';
  return `${isMore || isUnknown ? 'more than ' : ''}${manyOf(known + (isMore ? 1_000 : 0), 'row')}`;
}

export const placeHoldRoute = route({
  needs: 'operate',
  form: z.strictObject({
    once: id,
    scope: z.enum(['organization', 'user', 'item'], { error: 'choose whose rows' }),
    subject: z.string().min(1, 'must not be empty'),
    table: optional(z.string()),
    reviewAt: optional(dayOf),
    force: checkbox,
    reason,
  }),
  back: ({ scope = '', table = '', subject = '' }) =>
    `/holds/new?${new URLSearchParams(scope === 'item' ? { scope, table, subject } : { scope })}`,
  work: async (by, { table, ...input }) => {
    const of = input.scope === 'item' ? { table } : {};
    const done = await take(by, { action: 'hold.place', ...input, ...of }).catch((error: unknown) => {
      if (error instanceof RequestError && error.code === 'exists') return null;
      throw error;
    });
    if (done === null) return { text: 'This hold is placed already.', to: '/holds' };
    const { subject, covers } = Placed.parse(done);
    return {
      text: `Held: it keeps ${rowsOf(covers)} now. No batch that began earlier is still running.`,
      to: `/holds/${subject}`,
    };
  },
});

const ofHold = ({ id: hold = '' }: Readonly<Record<string, string>>) => `/holds/${hold}`;

export const reviewHoldRoute = route({
  needs: 'operate',
  form: z.strictObject({ id, reviewAt: dayOf, reason }),
  back: ofHold,
  work: async (by, input) => {
    const hold = await holdOf(by.services, input.id);
    if (hold?.review_at === input.reviewAt)
      return `Its next day of review is ${input.reviewAt.slice(0, 10)} already.`;
    await take(by, { action: 'hold.review', ...input });
    return `The hold stays; its next day of review is ${input.reviewAt.slice(0, 10)}.`;
  },
});

/** The case: what one types to release it. */
export const caseOf = (hold: { readonly reason: string }): string => hold.reason;

export const releaseHoldRoute = route({
  needs: 'approve',
  form: z.strictObject({ id, confirm: z.string(), reason }),
  back: ofHold,
  work: async (by, { confirm, ...input }) => {
    const hold = await holdOf(by.services, input.id);
    if (hold === null) throw new RequestError(404, 'unknown', 'there is no such hold', 'id');
    if (hold.released_by !== null) return `${hold.released_by} has released this hold already.`;
    confirmed(confirm, caseOf(hold));
    await take(by, { action: 'hold.release', ...input });
    return { text: `Released: what "${caseOf(hold)}" kept may go at the next run.`, to: '/holds' };
  },
});

export const setExtensionRoute = route({
  needs: 'operate',
  form: z.strictObject({
    table: z.string().max(130),
    key: z.string().min(1, 'must not be empty'),
    keepUntil: dayOf,
    force: checkbox,
    reason,
  }),
  back: ({ table = '', key = '' }) => `/extensions/new?${new URLSearchParams({ table, key })}`,
  work: async (by, input) => {
    await take(by, { action: 'extension.set', ...input });
    return { text: `Extended: the row stays until ${input.keepUntil.slice(0, 10)}.`, to: '/extensions' };
  },
});

export const endExtensionRoute = route({
  needs: 'approve',
  form: z.strictObject({ table: z.string().max(130), key: z.string().min(1), confirm: z.string(), reason }),
  back: ({ table = '', key = '' }) => `/extensions/end?${new URLSearchParams({ table, key })}`,
  work: async (by, { confirm, ...input }) => {
    confirmed(confirm, input.key);
    await take(by, { action: 'extension.end', ...input });
    const days = Math.round(by.services.settings.guards.coolingOffSeconds / 86_400);
    return { text: `Ended: the row may go when the cooling-off of ${days} days is over.`, to: '/extensions' };
  },
});

export const extendDayRoute = route({
  needs: 'operate',
  form: z.strictObject({
    policy,
    organization: z.string().min(1, 'must not be empty').max(200),
    day: z.iso.date('must be a date'),
    keepUntil: dayOf,
    digest,
    reason,
  }),
  back: ({ policy: name = '', organization = '', day = '' }) =>
    `/extensions/day?${new URLSearchParams({ policy: name, organization, day })}`,
  work: async (by, { reason: why, ...input }) => {
    const { kept } = await extendDay(by.acting(why), input);
    const until = input.keepUntil.slice(0, 10);
    return {
      text: `Extended: ${manyOf(kept, 'row stays', 'rows stay')} until ${until}.`,
      to: '/extensions',
    };
  },
});
