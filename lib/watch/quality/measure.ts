/** Measures one policy's data. A measurement that fails or runs out of time is `unknown` and spoils no other. */
import { z } from 'zod';
import { LapseError } from '../../platform/errors';
import { indexStatement } from '../../platform/index-statement';
import { oneRow, query } from '../../platform/query';
import { ask, askOne } from '../../platform/session';
import type { TableName } from '../../platform/sql';
import { name, table, tableLabel } from '../../platform/sql';
import { clockInWords, isOneColumn } from '../../policies/clocks';
import type { Policy } from '../../policies/contract';
import { markOf } from '../../policies/going';
import type { Services } from '../../services';
import {
  isClockIndexed,
  isIndexed,
  isReferenceGuarded,
  isUniqueGuarded,
  type TableFacts,
  tableFacts,
} from './facts';
import { type About, guarded, judged, type Measurement, unknown } from './measurement';
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
  type RowReference,
  rowReferencesOf,
  uniquesOf,
} from './statements';

/** A bounded sample takes a second or two from a cold disk; what takes longer is given up. */
const LIMITS = { statementMs: 10_000, readOnly: true };

const Keys = z
  .array(z.string())
  .nullable()
  .transform((k) => k ?? []);
const Count = z.object({ looked_at: z.number(), found: z.number(), keys: Keys });
type Count = z.infer<typeof Count>;
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

/** One policy under measurement. */
interface Measuring {
  readonly services: Services;
  readonly policy: Policy;
  readonly moment: Moment;
  readonly facts: ReadonlyMap<string, TableFacts>;
}

export async function measurePolicy(
  services: Services,
  policy: Policy,
  moment: Moment,
): Promise<Measurement[]> {
  const references = rowReferencesOf(policy);
  const tables = [policy.table, ...references.flatMap((r) => [r.from, r.to])];
  const facts = await askOne(services.database, tableFacts(tables), LIMITS);
  const measuring = { services, policy, moment, facts };
  const found = await attempt(aboutProfile(policy), policy, () => clocks(measuring));
  for (const reference of references) {
    const about = aboutReference(policy, reference);
    found.push(...(await attempt(about, policy, () => orphansOf(measuring, about, reference))));
  }
  for (const columns of uniquesOf(policy)) {
    const about = aboutColumns(policy, columns);
    found.push(...(await attempt(about, policy, () => duplicatesOf(measuring, about, columns))));
  }
  return found;
}

const aboutProfile = (policy: Policy): About => ({
  policy: policy.name,
  measure: 'profile',
  subject: tableLabel(policy.table),
});
const aboutReference = (policy: Policy, { from, columns }: RowReference): About => ({
  policy: policy.name,
  measure: 'reference',
  subject: `${tableLabel(from)} (${columns.join(', ')})`,
});
const aboutColumns = (policy: Policy, columns: readonly string[]): About => ({
  policy: policy.name,
  measure: 'uniqueness',
  subject: `${tableLabel(policy.table)} (${columns.join(', ')})`,
});

async function attempt(
  about: About,
  policy: Policy,
  work: () => Promise<Measurement[]>,
): Promise<Measurement[]> {
  try {
    return await work();
  } catch (error) {
    const why = error instanceof LapseError ? error.message : 'it could not be measured';
    const grant = `GRANT SELECT ON ${table(policy.table)} TO lapse_app;`;
    return [unknown(about, why, `see that the table is there and lapse_app may read it: ${grant}`)];
  }
}

/** Throws LapseError where there is no such table. */
function factsOf({ facts }: Measuring, of: TableName): TableFacts {
  const found = facts.get(table(of));
  if (!found) throw new LapseError('quality.table', `table ${table(of)} does not exist`);
  return found;
}

async function orphansOf(m: Measuring, about: About, reference: RowReference): Promise<Measurement[]> {
  const child = factsOf(m, reference.from);
  if (isReferenceGuarded(child, reference.columns, reference.to)) return [guarded(about, 'foreign key')];
  factsOf(m, reference.to);
  const statement = orphans(reference, child.pages, m.moment);
  const count = await askOne(m.services.database, query(statement, oneRow(Count)), LIMITS);
  return [counted(about, count, m.policy.quality.orphans, !isWholeLookup(child.pages))];
}

async function duplicatesOf(m: Measuring, about: About, columns: readonly string[]): Promise<Measurement[]> {
  const own = factsOf(m, m.policy.table);
  if (isUniqueGuarded(own, columns)) return [guarded(about, 'unique index')];
  const sampled = !isWholeLookup(own.pages);
  const indexed = isIndexed(own, columns);
  const statement = (indexed ? duplicatesByIndex : duplicatesWithin)(m.policy, columns, own.pages, m.moment);
  const count = await askOne(m.services.database, query(statement, oneRow(Count)), LIMITS);
  if (indexed || !sampled) return [counted(about, count, 0, sampled)];
  const index = indexStatement({
    table: m.policy.table,
    isPartitioned: m.policy.partitioned !== undefined,
    columns: columns.map(name).join(', '),
  });
  return [
    counted(about, count, 0, sampled, { remedy: `only duplicates within the sample are seen: ${index}` }),
  ];
}

async function clocks(m: Measuring): Promise<Measurement[]> {
  const { policy, moment } = m;
  const own = factsOf(m, policy.table);
  const sampled = !isWholeClockSample(own.pages);
  const marker = markOf(policy);
  const isIndexed = isOneColumn(policy.clock) && isClockIndexed(own, policy.clock.column, marker);
  const indexed = sampled && isIndexed ? clockByIndex(policy, moment) : null;
  const { sample, emptied, aheads, ends } = await ask(
    m.services.database,
    {
      sample: query(clockSample(policy, own.pages, moment), oneRow(Clocks)),
      emptied: indexed ? query(indexed.empty, oneRow(Count)) : undefined,
      aheads: indexed ? query(indexed.ahead, oneRow(Count)) : undefined,
      ends: indexed ? query(indexed.ends, oneRow(Ends)) : undefined,
    },
    LIMITS,
  );
  const rows = own.rows ?? (sampled ? null : sample.looked_at);
  /** The index's count where it was not cut short; else the sample's share. */
  const better = (exact: Count | undefined, found: number, keys: readonly string[]) =>
    exact && exact.looked_at < MOST_COUNTED && rows !== null
      ? { found: exact.found, keys: exact.keys, lookedAt: rows, sampled: false }
      : { found, keys, lookedAt: sample.looked_at, sampled };
  const about = (measure: Measurement['measure']): About => ({
    policy: policy.name,
    measure,
    subject: clockInWords(policy.clock),
  });
  const empty = better(emptied, sample.empty, sample.empty_keys);
  const ahead = better(aheads, sample.ahead, sample.ahead_keys);
  const { oldest, newest } = ends ?? sample;
  const { emptyClocks, futureClocks, aheadSeconds } = policy.quality;
  return [
    judged(about('completeness'), { ...empty, most: emptyClocks }),
    judged(about('timeliness'), { ...ahead, most: futureClocks }, { aheadSeconds }),
    judged(
      aboutProfile(policy),
      { found: 0, lookedAt: sample.looked_at, most: null, sampled: sampled && indexed === null, keys: [] },
      {
        rows: rows === null ? null : Math.round(rows),
        emptyShare: empty.lookedAt === 0 ? 0 : empty.found / empty.lookedAt,
        oldest,
        newest,
      },
    ),
  ];
}

function counted(
  about: About,
  { looked_at: lookedAt, found, keys }: Count,
  most: number,
  sampled: boolean,
  detail: Measurement['detail'] = {},
): Measurement {
  return judged(about, { found, lookedAt, keys, most, sampled }, detail);
}
