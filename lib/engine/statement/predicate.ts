/**
 * What decides whether a row may go, written once and used by the batch, the dry run and the proof of being
 * drained. Everything here is judged under the row's lock and, by PostgreSQL, again on any newer version.
 * Holds, extensions and dead letters are looked up per row only when there are any at all: the guarding
 * `select exists` runs once a statement, and the gate (7001, 0) keeps its answer true until commit.
 */
import {
  allOf,
  anyOf,
  constant,
  id,
  type KeyColumn,
  keyAsText,
  list,
  literal,
  raw,
  type Sql,
  sql,
  type TableName,
  tableId,
  tableLabels,
} from '../../platform/sql';
import { ofClock, scaleOf } from '../../policies/clocks';
import { contentsOf, ending } from '../../policies/contents';
import type { Content, Dependant, Policy } from '../../policies/contract';
import { detachedDependants } from '../../policies/going';
import { sameTable } from '../../policies/hanging';
import { strategyOf } from '../../policies/strategies';
import { hangingOn, type Place, treeOf } from '../../policies/tree';
import { anyBelow, existsOne, rowsBelow } from './below';
import { belongs, refersBy } from './files';
import { keptByLater, laterWithoutInstant, latest } from './later';
import { clockOf } from './legs/columns';
import type { Walk } from './legs/walk';
import { spared } from './spared/judge';

const DAY_SECONDS = 86_400;

type Scope = { organization?: string | undefined; user?: string | undefined };

/** An instant as the clock's column would hold it, so that the index answers (DELETION §4). */
export const inClock = (policy: Policy, instant: Sql): Sql => scaleOf(policy.clock).at(instant);

/** A value of the clock's type before an instant, compared in that type. */
export const isBefore = (policy: Policy, clock: Sql, instant: Sql): Sql =>
  sql`${clock} < ${inClock(policy, instant)}`;

/** What an index answers of the rows before an instant. */
export const isDue = (policy: Policy, instant: Sql): Sql =>
  ofClock(policy.clock, 't', (clock) => dueBy(policy, clock, instant));

function dueBy(policy: Policy, clock: Sql, instant: Sql): Sql {
  const { beginsBehindLow, low } = scaleOf(policy.clock);
  return allOf(beginsBehindLow && sql`${clock} > ${low}`, isBefore(policy, clock, instant));
}

/** That the row is before an instant: by its index, by the value itself, and by all that refers to it and counts. */
export function isPast(policy: Policy, instant: Sql): Sql {
  const own = ofClock(policy.clock, 't', (clock) =>
    allOf(dueBy(policy, clock, instant), scaleOf(policy.clock).isBefore(clock, instant)),
  );
  const later = keptByLater(policy, instant);
  return later ? allOf(own, sql`not ${later}`) : own;
}

/** That the row's own clock is an instant. */
export const isInstant = (policy: Policy): Sql => scaleOf(policy.clock).isInstant(clockOf(policy));

/** That the row has a date at all, with all that counts. */
export function hasInstant(policy: Policy): Sql {
  const without = laterWithoutInstant(policy);
  return without ? allOf(isInstant(policy), sql`not ${without}`) : isInstant(policy);
}

/** The clock as a point in time, whatever its column's type. */
export const instantOf = (policy: Policy): Sql => latest(policy, ownInstantOf(policy));

/** That of the row itself, by which it is walked. */
export const ownInstantOf = (policy: Policy): Sql => scaleOf(policy.clock).instant(clockOf(policy));

/** For `table_name in (…)`. */
const labels = (t: TableName): Sql => list(...tableLabels(t).map(literal));

/** Legal holds on the row itself, by organization, user or item. */
export function holdsOn(
  alias: string,
  scope: Scope,
  of: TableName,
  key: readonly KeyColumn[],
): (Sql | null)[] {
  const inForce = (by: string, subject: Sql, more?: Sql) =>
    sql`exists (select 1 from retention.hold h where ${allOf(sql`h.released_at is null`, sql`h.scope = ${literal(by)}`, sql`h.subject = ${subject}`, more)})`;
  return [
    scope.organization ? inForce('organization', sql`${id(alias, scope.organization)}::text`) : null,
    scope.user ? inForce('user', sql`${id(alias, scope.user)}::text`) : null,
    inForce('item', keyAsText(alias, key), sql`h.table_name in (${labels(of)})`),
  ];
}

/** A hold on one row. */
export const heldItself = (alias: string, scope: Scope, of: TableName, key: readonly KeyColumn[]): Sql =>
  whenAny(anyOf(...holdsOn(alias, scope, of, key)));

export const ANY_HOLD = sql`(select exists (select 1 from retention.hold where released_at is null))`;

/** Asked of a row only while there is any hold at all. */
export const whenAny = (isHeld: Sql): Sql => sql`(case when ${ANY_HOLD}
      then ${isHeld} else false end)`;

/** G1: a hold on the row, on anything that would go or be changed with it, or on that through which it is reached. */
export function held({ policy, held: along }: Pick<Walk, 'policy' | 'held'>): Sql {
  const theirs = anyBelow(policy, (p, alias) =>
    anyOf(
      ...holdsOn(alias, p.scope, p.table, p.key),
      ...heldWhereDetached(policy, p, alias).map(isTrue),
      ...heldByContents(policy, p, alias).map(isTrue),
    ),
  );
  const contents = heldByContents(policy, treeOf(policy).places[0]!, 't').map(isTrue);
  const own = heldWhereDetached(policy, treeOf(policy).places[0]!, 't').map(isTrue);
  return whenAny(
    anyOf(...holdsOn('t', policy.scope, policy.table, policy.key), ...own, theirs, ...contents, along),
  );
}

/** What keeps a row, and whose rows do. */
export interface Keeper {
  readonly by: TableName;
  readonly is: Sql;
}
const isTrue = ({ is }: Keeper): Sql => is;

const CONTENT = 'z';

/** What row `alias` of a place refers to, and would go with its last reference: whether any of it is so. */
const contentsAt = (policy: Policy, place: Place, alias: string, isSo: (content: Content) => Sql): Keeper[] =>
  contentsOf(policy).flatMap((c) =>
    ending(policy, c)
      .filter((r) => r.place === place)
      .map((r) => ({
        by: c.table,
        is: sql`exists (select 1 from only ${tableId(c.table)} ${raw(CONTENT)} where ${refersBy(c, r.columns, alias, CONTENT)} and ${isSo(c)})`,
      })),
  );

/** Holds on what row `alias` of a place refers to and may be the last to. */
export const heldByContents = (policy: Policy, place: Place, alias: string): Keeper[] =>
  contentsAt(policy, place, alias, (c) => anyOf(...holdsOn(CONTENT, c.scope, c.table, c.key)));

/** The same of Lapse's own records. */
export const namedByContents = (policy: Policy, place: Place, alias: string, { is }: Naming): Keeper[] =>
  contentsAt(policy, place, alias, (c) => is(CONTENT, c));

/** Holds on what would lose its reference to a row of this place; of the governed table also by the policy's own scope. */
export const heldWhereDetached = (policy: Policy, place: Place, alias: string): Keeper[] =>
  hangingOn(policy, place, detachedDependants(policy)).map((d) => ({
    by: d.table,
    is: existsOne(
      sql`${tableId(d.table)} x`,
      belongs(d, policy, 'x', alias),
      anyOf(
        ...holdsOn(
          'x',
          sameTable(d.table, policy.table) ? { ...policy.scope, ...d.scope } : d.scope,
          d.table,
          d.key,
        ),
      ),
    ),
  }));

/** Lapse's own records that name rows one by one. */
export interface Naming {
  /** Whether any row of the policy's tables is named: else none is asked for. */
  readonly any: Sql;
  /** Whether a row of this table is. */
  is(alias: string, of: Pick<Place, 'table' | 'key'>): Sql;
}

/** A row itself, or what goes with it, where another policy governs that. */
function anyNamed(policy: Policy, naming: Naming): Sql {
  const named = (p: Place, alias: string) => {
    const contents = namedByContents(policy, p, alias, naming).map(isTrue);
    const itself = naming.is(alias, p);
    return contents.length === 0 ? itself : anyOf(itself, ...contents);
  };
  const own = named(treeOf(policy).places[0]!, 't');
  const theirs = anyBelow(policy, named);
  return sql`(case when ${naming.any}\n      then ${theirs ? anyOf(own, theirs) : own} else false end)`;
}

/** Every table of which a row may go. */
const allLabels = (policy: Policy): Sql =>
  list(...[...treeOf(policy).places, ...contentsOf(policy)].map((p) => labels(p.table)));

export const extensions = (policy: Policy, asOf: Sql): Naming => ({
  any: sql`(select exists (select 1 from retention.extension where table_name in (${allLabels(policy)}) and keep_until > ${asOf}))`,
  is: (alias, { table, key }) =>
    sql`exists (select 1 from retention.extension e where e.table_name in (${labels(table)}) and e.row_key = ${keyAsText(alias, key)} and e.keep_until > ${asOf})`,
});
export const extended = (policy: Policy, asOf: Sql): Sql => anyNamed(policy, extensions(policy, asOf));

/** A row that failed waits for its own next attempt; a discarded one stays for good. */
export function deadLetters(policy: Policy, asOf: Sql): Naming {
  const waiting = sql`(state = 'discarded' or (state = 'open' and next_attempt_at > ${asOf}))`;
  return {
    any: sql`(select exists (select 1 from retention.dead_letter where table_name in (${allLabels(policy)}) and ${waiting}))`,
    is: (alias, { table, key }) =>
      sql`exists (select 1 from retention.dead_letter where table_name in (${labels(table)}) and row_key = ${keyAsText(alias, key)} and ${waiting})`,
  };
}
export const deadLettered = (policy: Policy, asOf: Sql): Sql => anyNamed(policy, deadLetters(policy, asOf));

/**
 * G9: no delivered message has told the row's organization of it in time. A message of one day counts from the day on that lies
 * so many whole days behind it, at the hour at which the row is due: a day of delay is a day. It counts for the period that it spoke
 * of: after another, what was announced comes at another time. Null where the policy asks for none; an erasure waits for nobody.
 */
export function unnoticed({ policy, isExtendable, asOf, cutoff }: Walk): Sql | null {
  const days = policy.notice?.requiredDays;
  if (days === undefined || !isExtendable) return null;
  const due = sql`(${instantOf(policy)} + (${asOf} - ${cutoff}))`;
  const hour = sql`(${due} - ${dayOf(due)})`;
  const told = allOf(
    sql`n.policy = ${literal(policy.name)}`,
    sql`n.tenant = ${id('t', policy.tenants!.column)}::text`,
    // The index has no others.
    sql`n.announced_at is not null`,
    sql`${dayOf(sql`n.delivered_at`)} + make_interval(secs => ${constant((days + 1) * DAY_SECONDS)}) + ${hour} <= ${asOf}`,
    sql`n.keep_seconds = extract(epoch from ${asOf} - ${cutoff})`,
    isBefore(policy, clockOf(policy), sql`n.before`),
  );
  return sql`(case when exists (select 1 from retention.notice_part n where ${told}) then false else true end)`;
}

const dayOf = (instant: Sql): Sql => sql`date_trunc('day', ${instant}, 'UTC')`;

const blocking = (policy: Policy): Dependant[] => policy.dependants.filter((d) => d.fate === 'block');

/** What is declared to keep a row here, of a place of the tree. */
export const blocks = (policy: Policy, place: Place, alias: string): Keeper[] =>
  hangingOn(policy, place, blocking(policy)).map((d) => ({
    by: d.table,
    is: existsOne(sql`${tableId(d.table)} x`, belongs(d, policy, 'x', alias)),
  }));

/** The same of the rows a walk is over: an erasure takes a row that only refers to itself. */
export const blocksOf = ({ policy, besidesItself }: Walk): Keeper[] => {
  const own = treeOf(policy).places[0]!;
  if (!besidesItself) return blocks(policy, own, 't');
  return hangingOn(policy, own, blocking(policy)).map((d) => {
    const isItself =
      sameTable(d.table, policy.table) && sql`(x.tableoid, x.ctid) is distinct from (t.tableoid, t.ctid)`;
    return {
      by: d.table,
      is: existsOne(sql`${tableId(d.table)} x`, allOf(belongs(d, policy, 'x', 't'), isItself)),
    };
  });
};

/** Null where no row of the governed table goes with another. */
export function staysBelow(w: Walk): Sql | null {
  if (!treeOf(w.policy).takesGoverned) return null;
  return sql`exists (select 1 from ${rowsBelow(w.policy)} b where b.n = 0
        and not exists (select 1 from ${w.rows} where t.ctid = b.c and ${allOf(w.besides ? anyOf(sql`(${expired(w)})`, w.besides) : expired(w), notYetTold(w), ...spared(w).map(({ is }) => sql`not ${is}`))}))`;
}

/** A declared dependant keeps the row here, or one below it; or a row of the same table that would go with it may not go itself. */
export function referenced(w: Walk): Sql {
  const { policy } = w;
  return anyOf(
    ...blocksOf(w).map(isTrue),
    anyBelow(policy, (place, alias) => {
      const found = blocks(policy, place, alias).map(isTrue);
      return found.length === 0 ? null : anyOf(...found);
    }),
    staysBelow(w),
  );
}

/** Rows that are marked already would be looked at every night; null where none is ever marked. */
export function unmarked(policy: Policy): Sql | null {
  const stays = strategyOf(policy).stays;
  if (stays === null) return null;
  return stays.pending ?? sql`${id('t', stays.mark)} is null`;
}

/** The policy's `where`, as it stands there. */
export const condition = (policy: Policy): Sql | null =>
  policy.where === undefined ? null : sql`(${raw(policy.where)})`;

/** The same where an index has only rows for which it is true: others are not looked at, nor counted. */
export const whereIndexed = (policy: Policy): Sql | null => (policy.whereIndexed ? condition(policy) : null);

/** The policy's own judgment: past the cutoff of its rule, its `match` and its `where` true, not already marked. */
export const expired = (w: Walk): Sql => allOf(w.past, w.condition);

const notYetTold = (w: Walk): Sql | null => {
  const unheard = unnoticed(w);
  return unheard && sql`\n      not ${unheard}`;
};

/** The whole predicate. */
export const mayGo = (w: Walk): Sql =>
  allOf(
    expired(w),
    sql`\n      not ${held(w)}`,
    w.isExtendable && sql`\n      not ${extended(w.policy, w.asOf)}`,
    sql`\n      not ${deadLettered(w.policy, w.asOf)}`,
    sql`\n      not ${referenced(w)}`,
    ...spared(w).map(({ is }) => sql`\n      not ${is}`),
    notYetTold(w),
  );

/** What rows are read from; of a partitioned table all partitions, so never by their place. */
export const source = (policy: Policy): Sql =>
  policy.partitioned ? tableId(policy.table) : sql`only ${tableId(policy.table)}`;
