/**
 * Every action an operator can take, as one table: its name, what it needs, what it does. Unknown actions and
 * unknown fields are refused. Each needs a reason, which goes into the audit chain, and a role that may take it.
 */
import { z } from 'zod';
import { STEPS } from '../engine/guard/rollout';
import { RequestError } from '../platform/errors';
import { demand, type Permission } from '../platform/settings/roles';
import { giveApproval, raiseRollout, withdrawApproval } from './approvals';
import {
  endExtension,
  placeHold,
  releaseHold,
  removeOverride,
  reviewHold,
  setExtension,
  setOverride,
} from './holds';
import { assignLetter, discardLetter, retryLetter, retryLetters } from './letters';
import { removePermanent } from './permanent';
import { restore } from './restore';
import type { Deciding } from './shortening';
import { Written } from './subject';
import { closeBreakerOf, pausePolicy, releaseLease, resumeAll, resumePolicy, stopAll } from './switches';
import { words } from './words';

/** Long enough for a matter's number and a sentence. */
const reason = words(500);
const policy = words(100);
const id = z.uuid('must be the id of the entry, a UUID');
/** An organization, a user or a row, as lib/operators/subject.ts reads it. */
const key = Written;
const instant = z.iso.datetime({ offset: true, error: 'must be an ISO 8601 instant with its zone' });
/** Its rows are still to come: without it, what covers no row is refused. */
const force = z.boolean().default(false);
/** What one statement changes within its time, and a drain works off in minutes. */
const MOST_LETTERS = 10_000;
/** Of a row a UUID, of a file a number. */
const letter = { kind: z.enum(['row', 'file']), id: words(40) };

const action = <S extends z.ZodRawShape, R>(
  needs: Permission,
  shape: S,
  act: (acting: Deciding, input: z.output<z.ZodObject<S>>) => Promise<R>,
) => {
  const schema = z.strictObject({ action: z.string(), reason, ...shape });
  return {
    needs,
    fields: ['reason', ...Object.keys(shape)],
    parse: (body: unknown) => schema.safeParse(body),
    act: (acting: Deciding, input: unknown) => act(acting, input as z.output<z.ZodObject<S>>),
  };
};

const ACTIONS = {
  'hold.place': action(
    'operate',
    {
      scope: z.enum(['organization', 'user', 'item']),
      subject: key,
      table: z.string().max(130).optional(),
      force,
      reviewAt: instant.optional(),
      once: z.uuid('must be a UUID').optional(),
    },
    placeHold,
  ),
  'hold.review': action('operate', { id, reviewAt: instant }, (a, i) => reviewHold(a, i.id, i.reviewAt)),
  'hold.release': action('approve', { id }, (a, i) => releaseHold(a, i.id)),
  'extension.set': action(
    'operate',
    {
      table: z.string().max(130),
      key,
      force,
      keepUntil: instant,
    },
    setExtension,
  ),
  'extension.end': action('approve', { table: z.string().max(130), key }, endExtension),
  'override.set': action(
    'operate',
    {
      policy,
      tenant: key,
      force,
      keepDays: z
        .union([z.literal(-1), z.int().min(1).max(36_500)], {
          error: 'must be 1 to 36500 days, or -1 forever',
        })
        .transform((d) => (d === -1 ? null : d)),
    },
    setOverride,
  ),
  'override.remove': action('approve', { policy, tenant: key }, removeOverride),
  'row.restore': action('operate', { policy, key }, restore),
  'blacklist.remove': action(
    'approve',
    {
      table: z.string().max(130),
      key: key.optional(),
      address: words(320).optional(),
      addressHash: z
        .string()
        .regex(/^[0-9a-f]{64}$/i, 'must be the 64 hex digits of an entry')
        .optional(),
    },
    removePermanent,
  ),
  'policy.pause': action('stop', { policy }, (a, i) => pausePolicy(a, i.policy)),
  'policy.resume': action('operate', { policy }, (a, i) => resumePolicy(a, i.policy)),
  'all.stop': action('stop', {}, (a) => stopAll(a)),
  'all.resume': action('operate', {}, (a) => resumeAll(a)),
  'lease.release': action('operate', { policy }, (a, i) => releaseLease(a, i.policy)),
  'breaker.close': action('operate', { policy }, (a, i) => closeBreakerOf(a, i.policy)),
  'approval.give': action(
    'approve',
    { policy, digest: z.string().regex(/^[0-9a-f]{64}$/, 'must be the 64 hex digits of a dry run') },
    giveApproval,
  ),
  'rollout.raise': action(
    'approve',
    {
      policy,
      version: words(64),
      seen: z
        .int()
        .min(0)
        .max(STEPS.length - 1, 'the rollout is over after it'),
    },
    raiseRollout,
  ),
  'approval.withdraw': action('stop', { id }, (a, i) => withdrawApproval(a, i.id)),
  'letter.retry': action('operate', letter, (a, i) => retryLetter(a, i.kind, letterId(i))),
  'letter.retry-all': action(
    'operate',
    {
      kind: z.enum(['row', 'file']),
      policy,
      most: z.int().min(1).max(MOST_LETTERS, `must be at most ${MOST_LETTERS}`).default(MOST_LETTERS),
    },
    (a, i) => retryLetters(a, i.kind, i.policy, i.most),
  ),
  'letter.discard': action('operate', letter, (a, i) => discardLetter(a, i.kind, letterId(i))),
  'letter.assign': action('operate', { ...letter, to: words(64) }, (a, i) =>
    assignLetter(a, i.kind, letterId(i), i.to),
  ),
} as const;

function letterId(letter: { kind: 'row' | 'file'; id: string }): string {
  const fits =
    letter.kind === 'row' ? z.uuid().safeParse(letter.id).success : /^[1-9]\d{0,17}$/.test(letter.id);
  if (fits) return letter.id;
  throw new RequestError(
    400,
    'bad_field',
    `id must be ${letter.kind === 'row' ? 'a UUID' : 'a number'}`,
    'id',
  );
}

/** Runs one action. Throws RequestError that names the field at fault; then nothing was changed. */
export async function takeAction(acting: Omit<Deciding, 'reason'>, body: unknown): Promise<unknown> {
  const name = (body as { action?: unknown } | null)?.action;
  const known = typeof name === 'string' && Object.hasOwn(ACTIONS, name);
  if (!known) {
    const list = Object.keys(ACTIONS).join(', ');
    throw new RequestError(400, 'unknown_action', `action must be one of ${list}`, 'action');
  }
  const chosen = ACTIONS[name as keyof typeof ACTIONS];
  demand({ name: acting.operator, roles: acting.roles }, chosen.needs);
  const parsed = chosen.parse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    if (issue.code === 'unrecognized_keys') {
      const fields = chosen.fields.join(', ');
      throw new RequestError(
        400,
        'unknown_field',
        `${issue.keys[0]} is not a field of ${name}; the fields are ${fields}`,
        issue.keys[0],
      );
    }
    const field = String(issue.path[0] ?? 'body');
    throw new RequestError(400, 'bad_field', `${field}: ${issue.message}`, field);
  }
  return chosen.act({ ...acting, reason: parsed.data.reason }, parsed.data);
}
