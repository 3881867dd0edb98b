/**
 * The audit chain in the console: its filters, a look whether it is unbroken that ends in time, and the entries to keep, which are
 * sent page by page while they are read.
 */
import { z } from 'zod';
import { Chain } from '../../operators/audit/chain';
import { type AuditEntry, type EntriesAsk, readEntries } from '../../operators/audit/entries';
import { Findings } from '../../operators/audit/findings';
import { csv } from '../../platform/csv';
import { RequestError } from '../../platform/errors';
import type { Services } from '../../services';
import { answerFile, fileRoute } from './file';

const filter = z
  .string()
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u)
  .transform((text) => text.trim() || undefined)
  .optional();
const Filters = z.object({
  actor: filter,
  action: filter,
  policy: filter,
  day: z.union([z.literal('').transform(() => undefined), z.iso.date().regex(/^(19[7-9]|2)/)]).optional(),
  before: z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
    .optional(),
});

/** What cannot be a filter is left out and named. */
export function filtersOf(asked: Readonly<Record<string, string>>): {
  filters: EntriesAsk;
  wrong: string | null;
} {
  const parsed = Filters.safeParse(asked);
  if (parsed.success) return { filters: parsed.data, wrong: null };
  return { filters: {}, wrong: String(parsed.error.issues[0]!.path[0]) };
}

/** The address of the page with these filters. */
export function auditPath(filters: EntriesAsk, path = '/audit'): string {
  const given = Object.entries(filters).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)]],
  );
  const query = new URLSearchParams(given).toString();
  return query ? `${path}?${query}` : path;
}

export interface ChainLook {
  readonly entries: number;
  /** Of the last entry that was looked at; null when there is none. */
  readonly head: string | null;
  /** False: the time was over before the end. */
  readonly complete: boolean;
  /** What is wrong, as verification names it; at most a hundred. */
  readonly problems: readonly string[];
}

/** A person waits for it; 100,000 entries take a few seconds. */
const LOOK_MS = 15_000;

/** Each entry with its hash and its link to the one before. Receipts against their entries: the nightly job, /api/audit/verify. */
export async function lookAtChain({
  reading,
  clock,
}: Pick<Services, 'reading' | 'clock'>): Promise<ChainLook> {
  const until = clock().getTime() + LOOK_MS;
  const findings = new Findings();
  const chain = new Chain(reading, findings);
  const complete = await chain.walk(
    () => clock().getTime() < until,
    async () => undefined,
  );
  return {
    entries: chain.entries,
    head: chain.last?.hash ?? null,
    complete,
    problems: findings.problems.map((p) => p.message),
  };
}

const COLUMNS = ['n', 'at', 'actor', 'action', 'subject', 'reason', 'detail', 'hash'] as const;
const CSV_PAGE = 1_000;
const CSV_STRETCH = 20_000;

const line = (e: AuditEntry): unknown[] =>
  COLUMNS.map((c) => (c === 'detail' ? JSON.stringify(e.detail) : e[c]));

/** The newest first, as on the page. A read that fails ends the file with an error, not with an end that looks like one. */
async function* csvOf(services: Services, filters: EntriesAsk): AsyncGenerator<string> {
  yield csv(COLUMNS, []);
  let before = filters.before;
  for (;;) {
    const page = await readEntries(
      services,
      { ...filters, before },
      { size: CSV_PAGE, stretch: CSV_STRETCH },
    );
    if (page.entries.length > 0) yield csvLines(page.entries);
    if (page.next === null) return;
    before = page.next;
  }
}

/** Without the header, which is there already. */
const csvLines = (entries: readonly AuditEntry[]): string => {
  const text = csv(COLUMNS, entries.map(line));
  return text.slice(text.indexOf('\r\n') + 2);
};

/** A web stream over an iterator: the next page is read when the last one was taken. */
const streamOf = (texts: AsyncGenerator<string>): ReadableStream<Uint8Array> => {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await texts.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await texts.return(undefined);
    },
  });
};

/** GET with the filters of the page. */
export const entriesRoute = (provide?: () => Services) =>
  fileRoute(
    'audit',
    async (s, asked) => {
      const { filters, wrong } = filtersOf(Object.fromEntries(asked));
      if (wrong !== null) throw new RequestError(400, 'bad_parameter', `${wrong} is not a filter`, wrong);
      return answerFile(streamOf(csvOf(s, filters)), 'text/csv; charset=utf-8; header=present', 'audit.csv');
    },
    provide,
  );
