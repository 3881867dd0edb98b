/**
 * Why a row stays: by reason, and where another row keeps it, one below it or one that refers to it, also by whose table. Of
 * several that keep it the first is said: the row itself, then the others in the order in which the policy names their tables.
 * Asked only of rows that stay; it is made of the parts of the predicate, and true of the same rows (predicate.ts).
 */
import { z } from 'zod';
import { keptName, keptUnder } from '../../platform/outcome';
import { anyOf, empty, list, literal, type Sql, sql, tableLabel } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { type Place, treeOf } from '../../policies/tree';
import { firstBelow } from './below';
import type { Walk } from './legs/walk';
import {
  ANY_HOLD,
  blocks,
  blocksOf,
  deadLetters,
  extensions,
  heldByContents,
  heldWhereDetached,
  holdsOn,
  type Keeper,
  type Naming,
  namedByContents,
  staysBelow,
  unnoticed,
} from './predicate';
import { spared } from './spared/judge';

/** Why rows stay, each with how many: `held`, or `held by public.invoices`. */
export const KeptCounts = z.record(
  z.string().refine((name) => keptName(name) !== null, 'is no reason to keep a row'),
  z.coerce.number().int().nonnegative(),
);

/** Why one row stays, by reason alone. */
export const KeptReason = z.string().transform((name, problem) => {
  const kept = keptName(name);
  if (kept) return kept.reason;
  problem.addIssue(`${name} is no reason to keep a row`);
  return z.NEVER;
});

/** Why a row that was picked stays, the weightiest reason first. Null when it may go. */
export function staysBecause(w: Walk): Sql {
  const unheard = unnoticed(w);
  const when = (why: Sql, reason: string) => sql` when ${why} then ${literal(reason)}`;
  const young = when(sql`(${w.past}) is not true`, 'not_expired');
  // Where rows are not walked by their clock all are looked at: what else would keep a young one is no matter.
  const whens = [
    young,
    ...(w.condition ? [when(sql`${w.condition} is not true`, 'condition')] : []),
    ...spared(w).map(({ is, reason }) => when(is, reason)),
    ...(unheard ? [when(unheard, 'unnoticed')] : []),
  ];
  return sql`coalesce(${list(
    w.policy.clock.in && sql`case${young} end`,
    heldBy(w),
    w.isExtendable && extendedBy(w.policy, w.asOf),
    deadLetteredBy(w.policy, w.asOf),
    referencedBy(w),
    sql`case${whens.reduce((all, next) => sql`${all}${next}`, empty)} end`,
  )})`;
}

/** `held`, or by whose rows; null: no hold keeps it. */
export function heldBy({ policy, held: along }: Pick<Walk, 'policy' | 'held'>): Sql {
  const own = anyOf(...holdsOn('t', policy.scope, policy.table, policy.key), along);
  const beside = [
    ...heldWhereDetached(policy, governedOf(policy), 't'),
    ...heldByContents(policy, governedOf(policy), 't'),
  ];
  const below = (place: Place, alias: string): Keeper[] => [
    { by: place.table, is: anyOf(...holdsOn(alias, place.scope, place.table, place.key)) },
    ...heldWhereDetached(policy, place, alias),
    ...heldByContents(policy, place, alias),
  ];
  return sql`(case when ${ANY_HOLD}\n      then ${saying('held', policy, { own, beside, below })} end)`;
}

export const extendedBy = (policy: Policy, asOf: Sql): Sql =>
  namedBy('extended', policy, extensions(policy, asOf));

export const deadLetteredBy = (policy: Policy, asOf: Sql): Sql =>
  namedBy('dead_letter', policy, deadLetters(policy, asOf));

const namedBy = (reason: string, policy: Policy, naming: Naming): Sql => {
  const { any, is } = naming;
  const beside = namedByContents(policy, governedOf(policy), 't', naming);
  const below = (place: Place, alias: string): Keeper[] => [
    { by: place.table, is: is(alias, place) },
    ...namedByContents(policy, place, alias, naming),
  ];
  return sql`(case when ${any}\n      then ${saying(reason, policy, { own: is('t', policy), beside, below })} end)`;
};

const governedOf = (policy: Policy): Place => treeOf(policy).places[0]!;

/** Always by whose rows. Null where nothing is declared that could. */
function referencedBy(w: Walk): Sql | null {
  const { policy } = w;
  const stays = staysBelow(w);
  const beside = blocksOf(w);
  const below = (place: Place, alias: string) => blocks(policy, place, alias);
  if (stays) beside.push({ by: policy.table, is: stays });
  return saying('referenced', policy, { own: null, beside, below });
}

interface Keeping {
  /** Of the row `t` itself. */
  readonly own: Sql | null;
  /** Of what refers to `t`, and of what `t` refers to. */
  readonly beside: readonly Keeper[];
  /** Of the rows below it. */
  readonly below: (place: Place, alias: string) => Keeper[];
}

function saying(reason: string, policy: Policy, { own, beside, below }: Keeping): Sql | null {
  const called = ({ by }: Keeper) => literal(keptUnder(reason, tableLabel(by)));
  const whens = [
    ...(own ? [sql` when ${own} then ${literal(reason)}`] : []),
    ...beside.map((keeper) => sql` when ${keeper.is} then ${called(keeper)}`),
  ];
  const first =
    whens.length === 0 ? null : sql`case${whens.reduce((all, next) => sql`${all}${next}`, empty)} end`;
  const deeper = firstBelow(policy, (place, alias) =>
    below(place, alias).map((keeper) => ({ called: called(keeper), is: keeper.is })),
  );
  return first && deeper ? sql`coalesce(${first}, ${deeper})` : (first ?? deeper);
}
