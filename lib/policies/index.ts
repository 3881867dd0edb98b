/**
 * Every policy there is. `resolvePolicies` applies the periods the environment may change (G6): whole days,
 * −1 keeps forever, anything else that is not a sensible period is refused with the variable's name.
 */

import { examplePermanentTables, examplePolicies } from '../example/policies';
import { PolicyError, SettingsError } from '../platform/errors';
import type { Period, PermanentTable, Policy } from './contract';
import { dataMap } from './data-map';
import { permanentOf } from './data-map-contract';
import { withDerived } from './derived';
import { periodsIn, setTo, withEachPeriod } from './recorded';
import { strategyOf } from './strategies';

/** The registered ones, and those that the data map calls permanent. */
export const permanentTables: readonly PermanentTable[] = permanentOf(dataMap, [...examplePermanentTables]);

export const policies: readonly Policy[] = registered([...examplePolicies]);

/** A hundred years: more is a mistake, and −1 says "forever". */
const MOST_DAYS = 36_500;
const DAY_SECONDS = 86_400;

/** The names of all variables that change a period, for .env.example and the settings check. */
export function periodVariables(all: readonly Policy[] = policies): Map<string, Period> {
  return new Map(all.flatMap(periodsIn).flatMap((p) => (p.env ? [[p.env, p] as const] : [])));
}

/** Throws SettingsError naming every variable that does not hold a period. */
export function resolvePolicies(
  env: Record<string, string | undefined>,
  all: readonly Policy[] = policies,
): readonly Policy[] {
  const problems: string[] = [];
  const resolve = (period: Period): Period => {
    const value = period.env === undefined ? undefined : env[period.env];
    if (value === undefined) return period;
    const days = /^(-1|[1-9]\d*)$/.test(value.trim()) ? Number(value) : Number.NaN;
    if (!(days === -1 || (days >= 1 && days <= MOST_DAYS))) {
      problems.push(
        `${period.env} must be a whole number of days from 1 to ${MOST_DAYS}, or -1 to keep forever; it is "${value}"`,
      );
      return period;
    }
    return setTo(period, days === -1 ? null : days * DAY_SECONDS);
  };
  const resolved = all
    .map((policy) => withEachPeriod(policy, resolve))
    .map((policy) => ({ ...policy, strategy: strategyOf(policy).configured(env, (p) => problems.push(p)) }));
  if (problems.length > 0) throw new SettingsError([...new Set(problems)]);
  return resolved;
}

/** Adds the purge of each soft-delete policy (P8) and refuses what no single policy can see: a name twice, or a table that nothing may ever expire (P4). */
export function registered(
  declared: readonly Policy[],
  permanent: readonly PermanentTable[] = permanentTables,
): readonly Policy[] {
  const all = withDerived(declared);
  const names = new Set<string>(permanent.map((t) => t.name));
  for (const policy of all) {
    const problems: string[] = [];
    if (names.has(policy.name)) problems.push('name: another policy has it');
    names.add(policy.name);
    const touched = [
      policy.table,
      ...policy.dependants.filter((d) => d.fate === 'delete').map((d) => d.table),
      ...(policy.contents ?? []).map((c) => c.table),
    ];
    for (const t of permanent) {
      if (touched.some((x) => x.schema === t.table.schema && x.name === t.table.name)) {
        problems.push(`table: ${t.table.schema}.${t.table.name} is permanent, nothing may expire it`);
      }
    }
    if (problems.length > 0) throw new PolicyError(policy.name, problems);
  }
  return all;
}
