/**
 * Erasing a person, handing out a copy, bringing back what was archived: each asked for after a look at what would happen, bound
 * to that look, and confirmed by a second person where it reaches far. The functions are those of /api/erasure, /api/exports and
 * /api/restore.
 */
import { z } from 'zod';
import { RequestError } from '../../platform/errors';
import { confirmRequest, eraseSubject, withdrawRequest } from '../../rights/erase';
import { exportSubject, linkExport, withdrawExport } from '../../rights/export/export';
import { withdrawRestore } from '../../rights/restore/records';
import { confirmArchived, refuseOutsideProduction, resumeArchived } from '../../rights/restore/restore';
import { type Services, services } from '../../services';
import { askRestore } from '../restore-route';
import { type Act, actRoute } from './act';
import { callOf, erasureOf, numberOf, seeErasure, seeRestore, wishOf } from './right';
import { confirmed, digest, id, optional, policy, reason } from './take';

const route =
  <F extends z.ZodType>(act: Act<F>) =>
  (provide: () => Services = services) =>
    actRoute(act, provide);

const whose = {
  scope: z.enum(['user', 'organization'], { error: 'choose a person or an organization' }),
  subject: z
    .string()
    .min(1, 'must not be empty')
    .max(200, 'must be at most 200 characters')
    .regex(/^[^\p{C}]+$/u, 'must not hold control or invisible characters'),
};
const stale = (now: string): RequestError =>
  new RequestError(
    409,
    'stale',
    `this is not what you looked at any more: ${now}. Look again; nothing was changed`,
  );

export const requestErasureRoute = route({
  needs: 'operate',
  form: z.strictObject({ ...whose, digest, confirm: z.string(), reason }),
  back: ({ scope = '', subject = '' }) => `/erasures/new?${new URLSearchParams({ scope, subject })}`,
  work: async (by, { confirm, reason: why, scope, subject: of, digest: seen }) => {
    const subject = { scope, id: of };
    const call = callOf(by);
    const now = await seeErasure(by.services, subject, call);
    if (now.digest !== seen) {
      const { deleted, masked, kept } = now.result;
      throw stale(`it would delete ${deleted} rows, mask ${masked} and keep ${kept}`);
    }
    confirmed(confirm, numberOf(seen));
    const { id: request, message } = await eraseSubject(by.services, {
      ...call,
      subject,
      reason: why,
      dryRun: false,
    });
    return { text: message, to: request === null ? '/erasures' : `/erasures/${request}` };
  },
});

const ofErasure = ({ id: request = '' }: Readonly<Record<string, string>>) =>
  `/erasures/${encodeURIComponent(request)}`;

export const confirmErasureRoute = route({
  needs: 'approve',
  form: z.strictObject({ id, confirm: z.string(), reason }),
  back: ofErasure,
  work: async (by, { confirm, ...input }) => {
    const { state } = await erasureOf(by.services, input.id);
    if (state !== 'requested') return `This request is ${state} already.`;
    confirmed(confirm, numberOf(input.id));
    return (await confirmRequest(by.services, { ...callOf(by), ...input })).message;
  },
});

export const withdrawErasureRoute = route({
  needs: 'operate',
  form: z.strictObject({ id, reason }),
  back: ofErasure,
  work: async (by, input) => {
    const { state } = await erasureOf(by.services, input.id);
    if (state === 'withdrawn') return 'This request is withdrawn already.';
    await withdrawRequest(by.services, { ...callOf(by), ...input });
    return 'Withdrawn: nothing more of it is erased. What was erased before stays erased.';
  },
});

export const requestExportRoute = route({
  needs: 'operate',
  form: z.strictObject({ ...whose, reason }),
  back: () => '/exports/new',
  work: async (by, { scope, subject, reason: why }) => {
    const done = await exportSubject(by.services, {
      ...callOf(by),
      subject: { scope, id: subject },
      reason: why,
    });
    return { text: linkTold(done), to: '/exports' };
  },
});

const linkTold = ({ message, link }: { readonly message: string; readonly link: string | null }): string =>
  link === null ? message : `${message} The link, which works once: ${link}`;

export const linkExportRoute = route({
  needs: 'operate',
  form: z.strictObject({ id, reason }),
  back: () => '/exports',
  work: async (by, input) => linkTold(await linkExport(by.services, { ...callOf(by), ...input })),
});

export const withdrawExportRoute = route({
  needs: 'operate',
  form: z.strictObject({ id, reason }),
  back: () => '/exports',
  work: async (by, input) => {
    await withdrawExport(by.services, { ...callOf(by), ...input });
    return 'Taken back: the copy is deleted, and no link opens it.';
  },
});

const Wish = z.strictObject({
  scope: z.enum(['run', 'organization', 'item'], { error: 'choose what to restore' }),
  subject: z.string().min(1, 'must not be empty').max(8_192),
  policy: optional(policy),
  keepDays: z.coerce.number().int().min(1).max(3_650),
});

export const requestRestoreRoute = route({
  needs: 'operate',
  form: Wish.extend({ digest, reason }),
  back: ({ digest: _, reason: __, ...ask }) => `/restores/new?${new URLSearchParams(ask)}`,
  work: async (by, { digest: seen, reason: why, ...ask }) => {
    refuseOutsideProduction(by.services);
    const call = callOf(by);
    const now = await seeRestore(by.services, ask, call);
    if (now.digest !== seen) throw stale(now.result?.message ?? 'it is restored in another way');
    const done = await askRestore(by.services, { ...wishOf(ask), reason: why, dryRun: false }, call);
    if (!('counts' in done))
      return { text: 'Restored: the mark is taken away, and the row stays.', to: '/restores' };
    return { text: done.message, to: done.id === null ? '/restores' : `/restores/${done.id}` };
  },
});

const ofRestore = ({ id: restore = '' }: Readonly<Record<string, string>>) =>
  `/restores/${encodeURIComponent(restore)}`;

export const confirmRestoreRoute = route({
  needs: 'approve',
  form: z.strictObject({ id, reason }),
  back: ofRestore,
  work: async (by, input) => (await confirmArchived(by.services, { ...callOf(by), ...input })).message,
});

export const resumeRestoreRoute = route({
  needs: 'operate',
  form: z.strictObject({ id }),
  back: ofRestore,
  work: async (by, { id: restore }) =>
    (await resumeArchived(by.services, { ...callOf(by), id: restore })).message,
});

export const withdrawRestoreRoute = route({
  needs: 'operate',
  form: z.strictObject({ id, reason }),
  back: ofRestore,
  work: async (by, { id: restore, reason: why }) => {
    refuseOutsideProduction(by.services);
    await withdrawRestore(by.services, restore, why, callOf(by));
    return 'Withdrawn: nothing more of it is restored.';
  },
});
