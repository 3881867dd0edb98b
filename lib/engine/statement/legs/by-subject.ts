/**
 * Everything of one organization or user, whatever its age and tier (erasure): in the order of the key; sorting what is left
 * of one subject is what an erasure costs. Only holds keep a row, and what still refers to it. A row that stays, masked, is
 * theirs until it is.
 */
import { allOf, empty, list, type Sql, sql, typed } from '../../../platform/sql';
import type { Policy } from '../../../policies/contract';
import type { SubjectLeg } from '../leg';
import { source, unmarked } from '../predicate';
import { keyNames, keyOf, pickedByKey } from './columns';
import { PLAIN_CURSOR, type Walk } from './walk';

export function walkBySubject(policy: Policy, leg: SubjectLeg, asOf: Sql): Walk {
  const rows = sql`${source(policy)} t`;
  const isTheirs = allOf(sql`(${leg.theirs})`, unmarked(policy));
  return {
    policy,
    asOf,
    ownLabel: LABEL,
    label: typed(LABEL, 'text'),
    cutoff: NEVER,
    unknown: sql`false`,
    isExtendable: false,
    besidesItself: true,
    held: leg.held,
    instant: sql`null::timestamptz`,
    locksFirst: policy.dependants.some((d) => d.fate === 'block'),
    lead: [],
    rows,
    scopes: sql`(select ${typed(LABEL, 'text')} as label, ${NEVER} as cutoff) w`,
    own: isTheirs,
    due: isTheirs,
    indexed: null,
    past: isTheirs,
    condition: null,
    takes: isTheirs,
    columns: keyNames(policy),
    order: list(...keyOf(policy)),
    cursor: PLAIN_CURSOR,
    picked: (position, limit) => [pickedByKey(policy, isTheirs, position, limit)],
    range: () => null,
    each: (what, where, then = empty) => sql`select ${what} from ${rows} where ${where}${then}`,
  };
}

const LABEL = 'erasure';
/** Whatever its age. */
const NEVER = sql`'infinity'::timestamptz`;
