/**
 * What an erasure leaves of a row that stays: as a policy's mask does it, with the same keys, but without a column that says
 * when. Only an erasure makes one (lib/rights/graph): which rows are not masked yet, it says itself.
 */
import { z } from 'zod';
import { SettingsError } from '../../platform/errors';
import type { Sql } from '../../platform/sql';
import { Mask, mask } from './mask';
import type { Strategy } from './strategy';

export const ErasureMask = z.object({
  kind: z.literal('erasure-mask'),
  mask: Mask,
  /** Whether a row `t` is not masked yet. */
  pending: z.custom<Sql>(),
});
export type ErasureMask = z.infer<typeof ErasureMask>;

/** The mark of the mask within: no column is called so. */
const NO_MARK = '';

/** Throws SettingsError where a column is hashed and there is no key. */
export function erasureMaskOf(
  columns: Mask['columns'],
  pending: Sql,
  env: Readonly<Record<string, string | undefined>>,
): ErasureMask {
  const declared: Mask = { kind: 'mask', mark: NO_MARK, columns };
  const problems: string[] = [];
  const configured = mask(declared).configured(env, (problem) => problems.push(problem));
  if (problems.length > 0) throw new SettingsError(problems);
  return { kind: 'erasure-mask', mask: configured, pending };
}

export const erasureMask = (declared: ErasureMask): Strategy<ErasureMask> => {
  const within = mask(declared.mask);
  const { changes } = within.stays!;
  return {
    ...within,
    stays: {
      takesAlong: false,
      mark: changes[0]!.column,
      pending: declared.pending,
      empties: within.stays!.empties ?? [],
      changes: changes.filter(({ column }) => column !== NO_MARK),
      get settings() {
        return within.stays!.settings;
      },
      marked: () => 'an erasure masked it; the row stays',
    },
    withPeriods: () => declared,
    configured: () => declared,
    problems: () => [
      'strategy.kind: only an erasure masks so; declare mask, with the column that marks a row',
    ],
    // A value that a CHECK refuses makes the row a dead letter, which the erasure reports.
    unfit: (table) => within.unfit({ ...table, columns: unchecked(table.columns) }),
  };
};

const unchecked = (columns: Parameters<Strategy<ErasureMask>['unfit']>[0]['columns']) =>
  Object.fromEntries(
    Object.entries(columns).map(([name, c]) => [
      name,
      { ...c, constraints: c.constraints.filter((k) => k.kind !== 'c') },
    ]),
  );
