/** Dead letters: tried again with a click, given to somebody, or left where they are for good, with a reason. */
import { z } from 'zod';
import { RequestError } from '../../platform/errors';
import { type Services, services } from '../../services';
import { actRoute, type By } from './act';
import { type Letter, letterOf } from './lists';
import { reason, take } from './take';
import { manyOf } from './words';

const kind = z.enum(['row', 'file']);
const one = { kind, id: z.string().max(40) };
const Retried = z.object({ detail: z.object({ letters: z.number() }) });

/** Null where it is not open any more: then what was asked for is done, or was done by somebody else. */
async function open(by: By, { kind: of, id }: { kind: 'row' | 'file'; id: string }): Promise<Letter | null> {
  const fits = of === 'row' ? z.uuid().safeParse(id).success : /^[1-9]\d{0,17}$/.test(id);
  if (!fits) throw new RequestError(400, 'bad_field', 'id: there is no such dead letter', 'id');
  return letterOf(by.services, of, id);
}
const GONE = 'This dead letter is not open any more: it was tried again, discarded, or its row has gone.';
const page = ({ kind: of = 'row', id = '' }: Readonly<Record<string, string>>) =>
  `/letters/${of === 'file' ? 'file' : 'row'}/${encodeURIComponent(id)}`;
const list = ({ kind: of = 'row', policy = '' }: Readonly<Record<string, string>>) =>
  `/letters?${new URLSearchParams({ kind: of, policy })}`;

export const retryLetterRoute = (provide: () => Services = services) =>
  actRoute(
    {
      needs: 'operate',
      form: z.strictObject({ ...one, reason }),
      back: page,
      work: async (by, input) => {
        const letter = await open(by, input);
        if (letter === null) return GONE;
        const isDue =
          letter.next_attempt_at !== null && new Date(letter.next_attempt_at) <= by.services.clock();
        if (isDue) return 'It is due already: the next run tries it.';
        await take(by, { action: 'letter.retry', ...input });
        return `It is due now: the next ${input.kind === 'row' ? `run of ${letter.policy}` : 'look at the store'} tries it.`;
      },
    },
    provide,
  );

export const retryLettersRoute = (provide: () => Services = services) =>
  actRoute(
    {
      needs: 'operate',
      form: z.strictObject({ kind, policy: z.string().max(100), reason }),
      back: list,
      work: async (by, input) => {
        const done = await take(by, { action: 'letter.retry-all', ...input }).catch((error: unknown) => {
          if (error instanceof RequestError && error.code === 'unknown') return null;
          throw error;
        });
        if (done === null) return `No ${input.kind} of ${input.policy} waits: all are due already.`;
        return `${manyOf(Retried.parse(done).detail.letters, input.kind)} due now.`;
      },
    },
    provide,
  );

export const assignLetterRoute = (provide: () => Services = services) =>
  actRoute(
    {
      needs: 'operate',
      form: z.strictObject({ ...one, to: z.string().max(64), reason }),
      back: page,
      work: async (by, input) => {
        const letter = await open(by, input);
        if (letter === null) return GONE;
        if (letter.assigned_to === input.to) return `${input.to} looks after it already.`;
        await take(by, { action: 'letter.assign', ...input });
        return `${input.to} looks after it now.`;
      },
    },
    provide,
  );

export const discardLetterRoute = (provide: () => Services = services) =>
  actRoute(
    {
      needs: 'operate',
      form: z.strictObject({ ...one, reason }),
      back: page,
      work: async (by, input) => {
        if ((await open(by, input)) === null) return GONE;
        await take(by, { action: 'letter.discard', ...input });
        const what = input.kind === 'row' ? 'The row stays in the database' : 'The file stays in the store';
        return { text: `Discarded: ${what.toLowerCase()} forever.`, to: `/letters?kind=${input.kind}` };
      },
    },
    provide,
  );
