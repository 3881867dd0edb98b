/**
 * What the brackets at the end of a comment say: `[confidential; personal: key of a row; handling: pseudonym]`, of a table
 * `[internal; kept: dry_runs, idle_runs; append-only]`. The words are few, and explained here once.
 */

import { EVIDENCE_DAYS, OWN_RECORDS } from '../../operators/records/periods';
import { HISTORY_DAYS } from '../../watch/quality/store';

export const CLASSES = {
  public: 'May be shown to anyone.',
  internal: 'Says how Lapse works and what it did, about no person in particular.',
  confidential: 'Names persons, organizations, rows or files, or holds what an operator wrote.',
  restricted: 'Reading it would allow acting as someone else: only the owner of the schema can read it.',
} as const;
type Class = keyof typeof CLASSES;

export const HANDLINGS = {
  pseudonym:
    'Only an id or a key. Who that is stands in the tables of the application, and is gone when an erasure took it there.',
  evidence: 'Needed to answer for a deletion or a decision later; kept as long as its table says.',
  period: 'Goes with its record, at the end of the period of its table.',
  blanked: 'Replaced by its SHA-256 when the first of the periods of its table is over.',
  'free text': 'Written by an operator, who is instructed to write no names; kept as long as its table says.',
} as const;
type Handling = keyof typeof HANDLINGS;

const ownRecords = OWN_RECORDS.map(
  ({ kind, keepDays, what }) => [kind, `${keepDays} days: ${what}`] as const,
);
/** How long the rows of a table are kept. The kinds of Lapse's own records have their periods from the job that takes them away. */
export const KEPT: Readonly<Record<string, string>> = {
  ...Object.fromEntries(ownRecords),
  receipts: `${EVIDENCE_DAYS} days: receipts, which go only behind a signed head; without a signing key they stay forever`,
  quality: `${HISTORY_DAYS} days: measurements of the data`,
  current: 'what is true now: overwritten, so that it does not grow with time',
  'in force': 'until it is removed or replaced',
  forever: 'forever: evidence of what was decided and done, a row a decision or a day',
  transaction: 'until the transaction that wrote it ends',
};

export interface Marks {
  /** The comment without its brackets. */
  readonly text: string;
  readonly class: Class | null;
  readonly personal: string | null;
  readonly handling: Handling | null;
  readonly kept: readonly string[];
  readonly appendOnly: boolean;
  /** What the brackets say that is not known. */
  readonly unknown: readonly string[];
}

export function readMarks(comment: string | null): Marks {
  const [, text = '', inside = ''] = /^([\s\S]*?)\s*(?:\[([^\][]*)\])?$/.exec(comment ?? '') ?? [];
  const parts = inside.split(';').flatMap((part) => (part.trim() ? [part.trim()] : []));
  const marked = (key: string) => parts.find((p) => p.startsWith(`${key}: `))?.slice(key.length + 2) ?? null;
  const handling = marked('handling');
  const kept = marked('kept')?.split(', ') ?? [];
  const named = parts.find((p) => Object.hasOwn(CLASSES, p)) as Class | undefined;
  return {
    text,
    class: named ?? null,
    personal: marked('personal'),
    handling: handling !== null && Object.hasOwn(HANDLINGS, handling) ? (handling as Handling) : null,
    kept,
    appendOnly: parts.includes('append-only'),
    unknown: [
      ...parts.filter((p) => p !== named && p !== 'append-only' && !/^(personal|handling|kept): ./.test(p)),
      ...(handling !== null && !Object.hasOwn(HANDLINGS, handling) ? [`handling: ${handling}`] : []),
      ...kept.filter((k) => !Object.hasOwn(KEPT, k)).map((k) => `kept: ${k}`),
    ],
  };
}
