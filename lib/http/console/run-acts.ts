/**
 * Runs that a person asks for: a dry run, which reads only, and a run at once, which is typed. Both go on when the answer has been
 * sent: the page that comes after follows the run by its id. Guard, rollout, holds and lease count as in every run.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { runPolicy } from '../../engine/run/run';
import { decide } from '../../operators/carry-out';
import { words } from '../../operators/words';
import { RequestError } from '../../platform/errors';
import { MAX_DURATION_SECONDS } from '../../platform/jobs';
import { typed } from '../../platform/sql';
import { type Services, services } from '../../services';
import { failed, flushed } from '../answered';
import { deadlineOf } from '../deadline';
import { actRoute, type By } from './act';
import { policyNamed } from './policy';

/** Keeps the function alive until it is done: `after` of Next. */
export type Behind = (work: () => Promise<unknown>) => void;

/** What is over by then is told by itself, without a page to follow. */
const AT_ONCE_MS = 1_500;

const policy = words(100);
const of = (typed: Readonly<Record<string, string>>, page = '') =>
  `/policies/${encodeURIComponent(typed.policy ?? '')}${page}`;

export const previewRoute = (behind: Behind, provide: () => Services = services, atOnceMs = AT_ONCE_MS) =>
  actRoute(
    {
      ...{ needs: 'operate', onPreview: true, form: z.strictObject({ policy, back: z.string().optional() }) },
      back: (typed) => of(typed),
      work: (by, { policy: name }) =>
        begin(by, behind, { name, runId: randomUUID(), dryRun: true, atOnceMs }),
    },
    provide,
  );

export const runNowRoute = (behind: Behind, provide: () => Services = services, atOnceMs = AT_ONCE_MS) =>
  actRoute(
    {
      ...{ needs: 'operate', form: z.strictObject({ policy, confirm: z.string(), reason: words(500) }) },
      back: (typed) => of(typed, '/run'),
      work: async (by, { policy: name, confirm, reason }) => {
        const { name: known } = policyNamed(by.services, name);
        if (confirm !== known) {
          throw new RequestError(
            400,
            'bad_field',
            `type ${known}, letter by letter; nothing was changed`,
            'confirm',
          );
        }
        const runId = randomUUID();
        await decide(by.acting(reason), 'note_run_asked', [known, typed(runId, 'uuid')]);
        return begin(by, behind, { name: known, runId, dryRun: false, atOnceMs });
      },
    },
    provide,
  );

interface Order {
  readonly name: string;
  readonly runId: string;
  readonly dryRun: boolean;
  readonly atOnceMs: number;
}

async function begin(
  by: By,
  behind: Behind,
  { name, runId, dryRun, atOnceMs }: Order,
): Promise<{ text: string; to: string }> {
  const { services: s, who, correlationId } = by;
  const policy = policyNamed(s, name);
  const deadline = deadlineOf(s.clock(), MAX_DURATION_SECONDS, [s.settings.maxDurationSeconds]);
  const order = { trigger: 'manual', actor: who.name, correlationId, deadline, dryRun, runId } as const;
  const run = flushed(() => runPolicy(s, policy, order));
  let isAnswered = false;
  behind(() =>
    run.catch(async (error: unknown) => {
      // Until then it is the act that fails, and says so itself.
      if (isAnswered)
        await flushed(async () => failed(error, { script: name, correlationId }, s.log, 'run.failed'));
    }),
  );
  const over = await Promise.race([run, afterMs(atOnceMs)]);
  isAnswered = true;
  const what = dryRun ? 'The dry run' : 'The run';
  // Nothing is recorded of a run that was not let begin: the page of its policy says why.
  if (over?.runId === null)
    return { text: `${what} did not begin: ${over.message}.`, to: of({ policy: name }) };
  return { text: over ? `${what} is over.` : `${what} has begun.`, to: `/runs/${runId}` };
}

const afterMs = (ms: number): Promise<null> =>
  new Promise((done) => {
    setTimeout(() => done(null), ms).unref();
  });
