/** What only a person can say of a table: which, how long, why, on what ground; and what they choose otherwise. */
import { parseArgs } from 'node:util';

export interface Answer {
  readonly table: string;
  /** `30d`, `12h`, `6w`, `2y`. */
  readonly keep?: string;
  readonly reason?: string;
  readonly ground?: string;
  readonly clock?: string;
  /** Dates of rows that refer to it. */
  readonly later?: string;
  readonly where?: string;
  readonly schedule?: string;
  readonly name?: string;
  readonly description?: string;
  readonly keyNamesNobody?: boolean;
  readonly along?: boolean;
  /** Triggers that were read and may fire: `audit`, or `lines.audit` of a table that goes along. */
  readonly knownTriggers?: readonly string[];
}

/** A table with all that a policy needs of a person. */
export type Answered = Answer & Required<Pick<Answer, 'keep' | 'reason' | 'ground'>>;

export interface Flags {
  readonly list: boolean;
  readonly yes: boolean;
  readonly apply: boolean;
  readonly database?: string;
  readonly schemas: readonly string[];
  readonly answers: readonly Answer[];
}

const OF_A_TABLE = [
  'keep',
  'reason',
  'ground',
  'clock',
  'later',
  'where',
  'schedule',
  'name',
  'description',
] as const;

const TEXT = { type: 'string', multiple: true } as const;
const KNOWN = {
  list: { type: 'boolean' },
  yes: { type: 'boolean' },
  apply: { type: 'boolean' },
  database: { type: 'string' },
  schema: TEXT,
  table: TEXT,
  'key-names-nobody': { type: 'boolean' },
  along: { type: 'boolean' },
  'known-trigger': TEXT,
  ...(Object.fromEntries(OF_A_TABLE.map((name) => [name, TEXT])) as Record<
    (typeof OF_A_TABLE)[number],
    typeof TEXT
  >),
} as const;
export const OPTIONS = Object.keys(KNOWN);

/** `--table a --keep 30d … --table b …`: what follows a table is about it, what stands before the first about all. */
export function readFlags(args: readonly string[]): Flags {
  const { values, tokens } = parseArgs({
    args: [...args],
    tokens: true,
    options: KNOWN,
  });
  type Said = Record<string, string | boolean | string[]>;
  const forAll: Said = {};
  const answers: (Said & { table: string })[] = [];
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    if (token.name === 'table') answers.push({ ...forAll, table: token.value ?? '' });
    const about = answers.at(-1) ?? forAll;
    if (token.name === 'key-names-nobody') about.keyNamesNobody = true;
    if (token.name === 'along') about.along = true;
    if (token.name === 'known-trigger')
      about.knownTriggers = [...((about.knownTriggers as string[] | undefined) ?? []), token.value ?? ''];
    if ((OF_A_TABLE as readonly string[]).includes(token.name)) about[token.name] = token.value ?? '';
  }
  return {
    list: values.list ?? false,
    yes: values.yes ?? false,
    apply: values.apply ?? false,
    ...(values.database === undefined ? {} : { database: values.database }),
    schemas: (values.schema as string[] | undefined) ?? [],
    answers: answers as unknown as Answer[],
  };
}

const UNITS: Readonly<Record<string, number>> = { h: 3600, d: 86_400, w: 7 * 86_400, y: 365 * 86_400 };

/** Seconds of a period; throws what is wrong with it. */
export function secondsOf(keep: string): number {
  const [, number, unit] = /^([1-9]\d{0,4})\s*(h|d|w|y)(?:ours?|ays?|eeks?|ears?)?$/.exec(keep.trim()) ?? [];
  if (number === undefined || unit === undefined) {
    throw new Error(
      `--keep takes a number of hours, days, weeks or years, e.g. 12h, 30d, 6w or 2y; it is "${keep}"`,
    );
  }
  return Number(number) * UNITS[unit]!;
}

/** In words, for a description. */
export function inWords(seconds: number): string {
  const [n, unit] = seconds % 86_400 === 0 ? [seconds / 86_400, 'day'] : [seconds / 3600, 'hour'];
  return `${n} ${unit}${n === 1 ? '' : 's'}`;
}

/** Which answers are missing, as flags. */
export const missingOf = (answer: Answer): string[] =>
  (['keep', 'reason', 'ground'] as const).filter((name) => !answer[name]).map((name) => `--${name}`);

/** Asks for what is missing, until it is an answer. */
export async function complete(
  answer: Answer,
  ask: (question: string) => Promise<string>,
): Promise<Answered> {
  const until = async (question: string, isAnswer: (said: string) => boolean): Promise<string> => {
    for (;;) {
      const said = (await ask(`${answer.table}: ${question} `)).trim();
      if (isAnswer(said)) return said;
    }
  };
  const keep = answer.keep ?? (await until('keep rows how long, e.g. 30d, 12h, 2y?', isPeriod));
  const reason = answer.reason ?? (await until('why this long, in a sentence?', (said) => said.length >= 10));
  const ground =
    answer.ground ?? (await until('legal ground, e.g. GDPR Art. 5(1)(e)?', (said) => said.length >= 3));
  return { ...answer, keep, reason, ground };
}

function isPeriod(said: string): boolean {
  try {
    return secondsOf(said) > 0;
  } catch {
    return false;
  }
}
