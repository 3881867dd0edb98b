/**
 * Keys of which a column may be NULL, and is in some rows: a unique index is all there is. No receipt could name such a row,
 * so what the refusal says is followed: SET NOT NULL, or a column that names every row.
 */
import type { PolicyInput } from '../../../policies/contract';
import type { Child } from './declare';
import { Rolls } from './rolls';
import { labelOf } from './shape';
import type { Draft } from './tables';
import type { ValueType } from './values';

/** Before anything refers to them. Rolled on its own, so that shapes without one stay as they are. */
export function loosenKeys([seed, number]: readonly [number, number], drafts: readonly Draft[]): void {
  const rolls = new Rolls(seed + 11_000_003, number);
  for (const draft of drafts) {
    if (draft.keyKind !== 'index' || draft.partitions !== null || !rolls.chance(45)) continue;
    const isEmptied = rolls.chance(60);
    for (const [i, c] of draft.columns.entries()) {
      const type = draft.types.get(c.name);
      if (!draft.key.includes(c.name) || c.more !== undefined || type === undefined) continue;
      draft.columns[i] = { ...c, notNull: false };
      if (isEmptied) draft.types.set(c.name, sometimes(type, rolls));
    }
  }
}

const sometimes = (type: ValueType, rolls: Rolls): ValueType => ({
  ...type,
  value: (n, r) => (rolls.chance(15) ? '' : type.value(n, r)),
});

export interface Another {
  readonly column: string;
  /** Prints it where rows have no key, and the column of their own. */
  readonly statement: string;
}

const SAID =
  /^(.*? SET NOT NULL); where rows have none, name them by a column of their own: (.*?;) and key: \[\{ column: '(\w+)' \}\]/s;

/** Both of what is printed: the first where no row has a NULL there. */
export function readNullable(remedy: string): { first: string; another: Another } | null {
  const [, first, statement, column] = SAID.exec(remedy) ?? [];
  return first && statement && column
    ? { first, another: { column, statement: statement.replace(/;$/, '') } }
    : null;
}

type Named = { readonly schema?: string | undefined; readonly name: string };
const label = ({ schema = 'public', name }: Named): string => labelOf({ schema, name });

/** The policy with another key for one of its tables; whatever referred to the old one says so. */
export function withKey(policy: PolicyInput, of: string, key: PolicyInput['key']): PolicyInput {
  const isGoverned = label(policy.table) === of;
  const old = isGoverned ? policy.key : (policy.dependants ?? []).find((c) => label(c.table) === of)?.key;
  const targets = (old ?? []).map((k) => k.column);
  const hangsOn = (c: Child) => label(c.via ?? policy.table) === of;
  const { orLaterIn } = policy.clock;
  const said = orLaterIn?.map((x) => ({ refersTo: targets, ...x }));
  return {
    ...policy,
    ...(isGoverned ? { key, clock: { ...policy.clock, ...(said ? { orLaterIn: said } : {}) } } : {}),
    dependants: (policy.dependants ?? []).map((c) => ({
      ...(hangsOn(c) ? { refersTo: targets } : {}),
      ...c,
      ...(label(c.table) === of ? { key } : {}),
    })),
  };
}
