/** How a history is written: slice by slice inside the database, each row from its number alone, so that the same numbers give the same history. */

interface Governed {
  /** Of the policy. */
  readonly name: string;
  /** schema.table */
  readonly table: string;
  /** Of one that tells organizations apart: the rule under which each was seen. */
  readonly label?: string;
}

export interface History {
  readonly runs: number;
  /** In all, as many a run. */
  readonly receipts: number;
  readonly organizations: number;
  readonly policies: readonly Governed[];
  /** The newest run began then. */
  readonly asOf: Date;
  /** Holds, erasures and the like, each at least so many. */
  readonly leastDecided?: number;
  readonly log?: (line: string) => void;
}

/** Name of what is written, how many rows, and the statement of a slice. */
export type Part = readonly [name: string, rows: number, text: string];

/** Enough that an index is cheaper than the table. */
const LEAST_DECIDED = 2_000;

/** Runs go back so far. */
const DAYS = 400;

/** A uuid (version 4 by its form) that depends on its kind and number only. */
export const id = (kind: string, i = 'i'): string =>
  `overlay(overlay(md5('${kind}' || ${i}) placing '4' from 13) placing '8' from 17)::uuid`;
/** `$1` the newest instant, `$2` and `$3` the slice, `$4` how many there are. */
const at = `$1::timestamptz - make_interval(secs => ($4::int - i) * (${DAYS} * 86400.0 / $4::int))`;

/** The numbers of a slice, each with its instant `x.at`. */
export const SLICE_ROWS = `generate_series($2::int, $3::int) i cross join lateral (select ${at} as at) x`;

/** One of these by the row's number. */
export const oneOf = (names: readonly string[]): string =>
  `(array[${names.map((name) => `'${name}'`).join(',')}])[1 + i % ${names.length}]`;
/** Its policy, and the table of that. */
export const policyIn = ({ policies }: History): string => oneOf(policies.map((p) => p.name));
export const tableIn = ({ policies }: History): string => oneOf(policies.map((p) => p.table));

/** Of what people decide there is one for so many runs. */
const RUNS_A_DECISION = 20;
export const decisions = ({ runs, leastDecided = LEAST_DECIDED }: History): number =>
  Math.max(leastDecided, Math.round(runs / RUNS_A_DECISION));
