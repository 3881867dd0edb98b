/**
 * Stopping and going on: forms that need only PostgreSQL. Stopping asks for no reason, because it must be done in seconds;
 * it may be given. What is stopped already is no mistake.
 */
import { z } from 'zod';
import { pausePolicy, resumeAll, resumePolicy, stopAll } from '../../operators/switches';
import { recordable, words } from '../../operators/words';
import { RequestError } from '../../platform/errors';
import { type Services, services } from '../../services';
import { actRoute } from './act';
import { ownPath } from './same-origin';

/** Recorded where no reason was given: the entry of the chain needs one. */
const STOPPED = 'stopped in the console';
const RESUMED = 'resumed in the console';

const MOST = 500;
/** A line pasted from a log must not keep anyone from stopping: what cannot be recorded of it is left out. */
const reason = (otherwise: string) =>
  z
    .string()
    .transform((given) => recordable(given, MOST) || otherwise)
    .pipe(words(MOST))
    .default(otherwise);
const back = z.string().optional();
const onePolicy = (otherwise: string) =>
  z.strictObject({ policy: words(100), reason: reason(otherwise), back });
const all = (otherwise: string) => z.strictObject({ reason: reason(otherwise), back });
const backOf = ({ back: path }: Readonly<Record<string, string>>) => ownPath(path);

/** What is so already is done: the sentence says so instead. */
async function unless(code: string, work: Promise<unknown>, done: string, already: string): Promise<string> {
  try {
    await work;
    return done;
  } catch (error) {
    if (error instanceof RequestError && error.code === code) return already;
    throw error;
  }
}

export const pauseRoute = (provide: () => Services = services) =>
  actRoute(
    {
      ...{ needs: 'stop', form: onePolicy(STOPPED), back: backOf },
      work: ({ acting }, { policy, reason: why }) =>
        unless(
          'paused',
          pausePolicy(acting(why), policy),
          `${policy} is paused: no batch of it is running any more, and no file of its rows is deleted until it is resumed.`,
          `${policy} is paused already.`,
        ),
    },
    provide,
  );

export const resumeRoute = (provide: () => Services = services) =>
  actRoute(
    {
      ...{ needs: 'operate', form: onePolicy(RESUMED), back: backOf },
      work: ({ acting }, { policy, reason: why }) =>
        unless(
          'not_paused',
          resumePolicy(acting(why), policy),
          `${policy} is resumed: it deletes again at its next run.`,
          `${policy} is not paused.`,
        ),
    },
    provide,
  );

export const stopAllRoute = (provide: () => Services = services) =>
  actRoute(
    {
      ...{ needs: 'stop', form: all(STOPPED), back: backOf },
      work: ({ acting }, { reason: why }) =>
        unless(
          'stopped',
          stopAll(acting(why)),
          'Everything is stopped: no batch is running any more, no file is deleted, and no order is refunded.',
          'Everything is stopped already.',
        ),
    },
    provide,
  );

export const resumeAllRoute = (provide: () => Services = services) =>
  actRoute(
    {
      ...{ needs: 'operate', form: all(RESUMED), back: backOf },
      work: ({ acting }, { reason: why }) =>
        unless(
          'not_stopped',
          resumeAll(acting(why)),
          'Everything may run again: policies delete again at their next run, except those paused by name.',
          'Nothing was stopped for all.',
        ),
    },
    provide,
  );
