/** Which steps have anything to do: one look a table, in READ ONLY transactions, so that an empty table costs no run. */
import { z } from 'zod';
import { walkOf } from '../engine/statement/legs';
import { oneRow, query } from '../platform/query';
import { askEach } from '../platform/session';
import { sql } from '../platform/sql';
import type { Services } from '../services';
import type { Step } from './graph';

/** A table without an index on what names the subject is read to its end. */
const LIMITS = { statementMs: 60_000, readOnly: true };
const Found = z.object({ found: z.boolean() }).transform((row) => row.found);

export async function withRows(services: Services, steps: readonly Step[]): Promise<Set<Step>> {
  const found = await exist(services, steps.flatMap(legsOf));
  return new Set(steps.filter((step) => legsOf(step).some(({ leg }) => found.has(leg))));
}

/** Whether rows of a step wait for others. */
export async function hasWaiting(services: Services, { erasing, waiting }: Step): Promise<boolean> {
  return waiting !== null && (await exist(services, [{ erasing, leg: waiting }])).size > 0;
}

type Look = Pick<Step, 'erasing' | 'leg'>;

const legsOf = ({ erasing, leg, waiting }: Step): Look[] =>
  [leg, waiting].flatMap((one) => (one ? [{ erasing, leg: one }] : []));

async function exist(services: Services, all: readonly Look[]): Promise<Set<Look['leg']>> {
  const asOf = services.clock().toISOString();
  const looks = all.map(({ erasing, leg }) => {
    const w = walkOf(erasing, leg, asOf);
    return query(sql`select exists (${w.each(sql`1`, w.own)}) as found`, oneRow(Found));
  });
  const found = looks.length === 0 ? [] : await askEach(services.database, looks, LIMITS);
  return new Set(all.filter((_, i) => found[i]).map(({ leg }) => leg));
}
