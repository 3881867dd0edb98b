/** What a manual call may ask for (R14): stricter than the policy, never laxer. Unknown names are refused. */
import { z } from 'zod';
import { RequestError } from '../platform/errors';

const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((n) => n >= least && n <= most, `must be a whole number from ${least} to ${most}`);

const RunParameters = z.strictObject({
  dryRun: z
    .enum(['1', 'true', 'yes', '0', 'false', 'no'], { error: 'must be 1, true, yes, 0, false or no' })
    .transform((v) => ['1', 'true', 'yes'].includes(v))
    .default(false),
  /** Rows of the governed table this run may delete at most. */
  limit: whole(1, 100_000_000).optional(),
  /** Rows a batch, exactly: it does not adapt. The ceiling is that of CLEANUP_BATCH_SIZE. */
  batchSize: whole(1, 10_000).optional(),
  /** Seconds this run may take; the function's own limit stays. */
  maxSeconds: whole(1, 1_800).optional(),
});
export type RunParameters = z.infer<typeof RunParameters>;

/** Throws RequestError 400 that names the parameter. */
export function readRunParameters(url: URL): RunParameters {
  const given = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    if (given.has(name)) throw new RequestError(400, 'bad_parameter', `${name} is given twice`, name);
    if (!Object.hasOwn(RunParameters.shape, name)) throw unknown(name);
    given.set(name, value);
  }
  const parsed = RunParameters.safeParse(Object.fromEntries(given));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = String(issue.path[0]);
  throw new RequestError(400, 'bad_parameter', `${field} ${issue.message}`, field);
}

const unknown = (name: string): RequestError => {
  const known = Object.keys(RunParameters.shape).join(', ');
  return new RequestError(
    400,
    'unknown_parameter',
    `${name} is not a parameter; the parameters are ${known}`,
    name,
  );
};
