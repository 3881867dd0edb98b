/**
 * The operators' door to restores: POST looks (dryRun), asks for one, confirms, resumes or withdraws it, GET lists them.
 * Opened by an operator's own token only, whose name is recorded in each entry of the audit chain; nothing on a clock restores.
 */
import { z } from 'zod';
import { limitRate } from '../operators/rate';
import { reachItem, reachScope } from '../operators/reach';
import { Written } from '../operators/subject';
import { RequestError } from '../platform/errors';
import { MAX_DURATION_SECONDS } from '../platform/jobs';
import { listRestores, withdrawRestore } from '../rights/restore/records';
import {
  confirmArchived,
  type RestoreCall,
  refuseOutsideProduction,
  restoreArchived,
  restoreOne,
  resumeArchived,
} from '../rights/restore/restore';
import { type Services, services } from '../services';
import { answerJson } from './answer';
import type { Handler } from './answered';
import { checked, reason } from './asked';
import { readJson } from './body';
import { deadlineOf } from './deadline';
import { operatorRoute } from './operator-route';

/** A key, an id and a reason of 500 characters. */
const MOST_BYTES = 8_192;
const PER_MINUTE = 20;

const Asked = z
  .strictObject({
    action: z
      .literal('request', { error: 'must be request, confirm, resume or withdraw' })
      .default('request'),
    run: z.uuid('must be the id of a run, a UUID').optional(),
    organization: Written.optional(),
    key: Written.optional(),
    policy: z.string().min(1).max(100).optional(),
    reason,
    dryRun: z.boolean().default(false),
    keepDays: z.int().min(1).max(3_650, 'must be at most 3650').default(30),
  })
  .refine((b) => [b.run, b.organization, b.key].filter((x) => x !== undefined).length === 1, {
    message: 'name either a run, an organization or a key',
    path: ['run'],
  })
  .refine((b) => b.key === undefined || b.policy !== undefined, {
    message: 'name the policy that deleted the row of this key',
    path: ['policy'],
  });
export type Asked = Omit<z.output<typeof Asked>, 'action'>;
const Decided = z.strictObject({
  action: z.enum(['confirm', 'resume', 'withdraw']),
  id: z.uuid('must be the id of the restore, a UUID'),
  reason: reason.optional(),
});

export const restoreRoute = (provide: () => Services = services): { GET: Handler; POST: Handler } => ({
  GET: operatorRoute(async (s) => ({ restores: await listRestores(s) }), provide, 'restore'),
  POST: operatorRoute(
    async (s, operator, request, { correlationId, token, demand }) => {
      await limitRate(s.redis, `restore:${operator}`, PER_MINUTE);
      const body = await readJson(request, { mostBytes: MOST_BYTES });
      demand(body.action === 'confirm' ? 'approve' : 'operate');
      const deadline = deadlineOf(s.clock(), MAX_DURATION_SECONDS, [s.settings.maxDurationSeconds]);
      const result = await act(s, body, { actor: operator, token, deadline });
      const waits = 'outcome' in result && result.outcome === 'waiting';
      return answerJson(result, correlationId, waits ? 202 : 200);
    },
    provide,
    'restore',
  ),
});

async function act(s: Services, body: Record<string, unknown>, call: RestoreCall): Promise<object> {
  if (body.action !== undefined && body.action !== 'request') {
    const { action, id, reason: why } = checked(Decided, body);
    if (action === 'resume') return resumeArchived(s, { ...call, id });
    if (why === undefined) throw new RequestError(400, 'bad_parameter', 'reason: must say why', 'reason');
    if (action === 'confirm') return confirmArchived(s, { ...call, id, reason: why });
    refuseOutsideProduction(s);
    const { state } = await withdrawRestore(s, id, why, call);
    return { id, state };
  }
  return askRestore(s, checked(Asked, body), call);
}

/** Looks, or asks, for what a person wrote: run, organization or key. */
export async function askRestore(
  s: Services,
  body: Asked,
  call: RestoreCall,
): Promise<Awaited<ReturnType<typeof restoreOne>>> {
  const order = { ...call, reason: body.reason, dryRun: body.dryRun, keepDays: body.keepDays };
  const policy = body.policy ?? null;
  if (body.run !== undefined)
    return restoreArchived(s, { ...order, scope: 'run', subject: body.run, policy });
  if (body.organization !== undefined) {
    const { subjects } = await reachScope(s, 'organization', body.organization, true);
    return restoreArchived(s, { ...order, scope: 'organization', subject: subjects[0]!, policy });
  }
  const declared = s.policies.find((p) => p.name === policy);
  if (!declared) throw new RequestError(404, 'unknown_policy', `there is no policy "${policy}"`, 'policy');
  const target = { policy: declared.name, table: declared.table, columns: declared.key.map((k) => k.column) };
  const { subjects } = await reachItem(s, 'key', body.key!, [target], true);
  return restoreOne(s, { ...order, scope: 'item', subject: subjects[0]!, policy, key: body.key! });
}
