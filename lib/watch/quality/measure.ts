/** Measures one policy's data. A measurement that fails or runs out of time is `unknown` and spoils no other. */
import { z } from 'zod';
import type { Row, Statement } from '../../platform/database';
import { LapseError } from '../../platform/errors';
import { askRows } from '../../platform/session';
import type { TableName } from '../../platform/sql';
import { name, table, tableLabel } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Services } from '../../services';
import {
  type Facts,
  isClockIndexed,
  isIndexed,
  isReferenceGuarded,
  isUniqueGuarded,
  readFacts,
  tableFacts,
} from './facts';
import { guarded, judged, type Measurement, unknown } from './measurement';
import {
  clockByIndex,
  clockSample,
  duplicatesByIndex,
  duplicatesWithin,
  isWholeClockSample,
  isWholeLookup,
  MOST_COUNTED,
  type Moment,
  orphans,
  referencesOf,
  uniquesOf,
} from './statements';

/** A bounded sample takes a second or two from a cold disk; what takes longer is given up. */
const STATEMENT_MS = 10_000;

const Keys = z
  .array(z.string())
  .nullable()
  .transform((k) => k ?? []);
const Count = z.object({ looked_at: z.number(), found: z.number(), keys: Keys });
const Clocks = z.object({
  looked_at: z.number(),
  empty: z.number(),
  empty_keys: Keys,
  ahead: z.number(),
  ahead_keys: Keys,
  oldest: z.string().nullable(),
  newest: z.string().nullable(),
});
const Ends = Clocks.pick({ oldest: true, newest: true });

export async function measurePolicy(s: Services, policy: Policy, m: Moment): Promise<Measurement[]> {
  const read = (...statements: Statement[]): Promise<Row[][]> =>
    askRows(s.database, statements, { statementMs: STATEMENT_MS, readOnly: true });
  const references = referencesOf(policy);
  const [rows = []] = await read(tableFacts([policy.table, ...references.flatMap((r) => [r.from, r.to])]));
  const facts = readFacts(rows);
  const factsOf = (t: TableName): Facts => {
    const found = facts.get(table(t));
    if (!found) throw new LapseError('quality.table', `table ${table(t)} does not exist`);
    return found;
  };
  const attempt = async (
    about: Pick<Measurement, 'measure' | 'subject'>,
    work: () => Promise<Measurement[]>,
  ): Promise<Measurement[]> => {
    try {
      return await work();
    } catch (error) {
      const why = error instanceof LapseError ? error.message : 'it could not be measured';
      return [
        unknown(
          { policy: policy.name, ...about },
          why,
          `see that the table is there and lapse_app may read it: GRANT SELECT ON ${table(policy.table)} TO lapse_app;`,
        ),
      ];
    }
  };

  const clock = policy.clock.column;
  const found = await attempt({ measure: 'profile', subject: tableLabel(policy.table) }, () => clocks());
  for (const r of references) {
    const subject = `${tableLabel(r.from)} (${r.columns.join(', ')})`;
    const about = { policy: policy.name, measure: 'reference' as const, subject };
    found.push(
      ...(await attempt(about, async () => {
        const child = factsOf(r.from);
        if (isReferenceGuarded(child, r.columns, r.to)) return [guarded(about, 'foreign key')];
        factsOf(r.to);
        const [one] = await read(orphans(r, child.pages, m));
        return [counted(about, one, policy.quality.orphans, !isWholeLookup(child.pages))];
      })),
    );
  }
  for (const columns of uniquesOf(policy)) {
    const subject = `${tableLabel(policy.table)} (${columns.join(', ')})`;
    const about = { policy: policy.name, measure: 'uniqueness' as const, subject };
    found.push(
      ...(await attempt(about, async () => {
        const own = factsOf(policy.table);
        if (isUniqueGuarded(own, columns)) return [guarded(about, 'unique index')];
        const sampled = !isWholeLookup(own.pages);
        const indexed = isIndexed(own, columns);
        const [one] = await read(
          (indexed ? duplicatesByIndex : duplicatesWithin)(policy, columns, own.pages, m),
        );
        const detail =
          indexed || !sampled
            ? {}
            : {
                remedy: `only duplicates within the sample are seen: CREATE INDEX CONCURRENTLY ON ${table(policy.table)} (${columns.map(name).join(', ')});`,
              };
        return [counted(about, one, 0, sampled, detail)];
      })),
    );
  }
  return found;

  async function clocks(): Promise<Measurement[]> {
    const own = factsOf(policy.table);
    const sampled = !isWholeClockSample(own.pages);
    const marker = policy.strategy.kind === 'soft-delete' ? policy.strategy.column : null;
    const byIndex = sampled && isClockIndexed(own, clock, marker);
    const [sampleRows = [], ...indexRows] = await read(
      clockSample(policy, own.pages, m),
      ...(byIndex ? clockByIndex(policy, m) : []),
    );
    const sample = Clocks.parse(sampleRows[0]);
    const rows = own.rows ?? (sampled ? null : sample.looked_at);
    /** The index's count where it was not cut short; else the sample's share. */
    const better = (given: Row[] | undefined, found: number, keys: readonly string[]) => {
      const exact = given && Count.parse(given[0]);
      return exact && exact.looked_at < MOST_COUNTED && rows !== null
        ? { found: exact.found, keys: exact.keys, lookedAt: rows, sampled: false }
        : { found, keys, lookedAt: sample.looked_at, sampled };
    };
    const about = (measure: Measurement['measure'], subject = clock) => ({
      policy: policy.name,
      measure,
      subject,
    });
    const empty = better(indexRows[0], sample.empty, sample.empty_keys);
    const ahead = better(indexRows[1], sample.ahead, sample.ahead_keys);
    const ends = byIndex ? Ends.parse(indexRows[2]?.[0]) : sample;
    const { emptyClocks, futureClocks, aheadSeconds } = policy.quality;
    return [
      judged(about('completeness'), { ...empty, most: emptyClocks }),
      judged(about('timeliness'), { ...ahead, most: futureClocks }, { aheadSeconds }),
      judged(
        about('profile', tableLabel(policy.table)),
        { found: 0, lookedAt: sample.looked_at, most: null, sampled: sampled && !byIndex, keys: [] },
        {
          rows: rows === null ? null : Math.round(rows),
          emptyShare: empty.lookedAt === 0 ? 0 : empty.found / empty.lookedAt,
          oldest: ends.oldest,
          newest: ends.newest,
        },
      ),
    ];
  }
}

function counted(
  about: Pick<Measurement, 'policy' | 'measure' | 'subject'>,
  rows: Row[] | undefined,
  most: number,
  sampled: boolean,
  detail: Measurement['detail'] = {},
): Measurement {
  const { looked_at: lookedAt, found, keys } = Count.parse(rows?.[0]);
  return judged(about, { found, lookedAt, keys, most, sampled }, detail);
}
