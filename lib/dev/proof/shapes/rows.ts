/** The rows of every table: each refers to one that is there, to itself, in a circle, or to nothing. */
import type { LinkDraft } from './links';
import type { Rolls } from './rolls';
import type { Row } from './shape';
import type { Draft } from './tables';
import { age, written } from './times';

export interface Owners {
  readonly organizations: readonly string[];
  readonly people: readonly string[];
}
type Filling = Record<string, string | null>;

export const PREFIX = 'shapes/';
const KINDS = ['a', 'b', 'c'];

/** In the order of the tables: a table refers to tables before its own, but for late links. */
export function fill(
  rolls: Rolls,
  drafts: readonly Draft[],
  links: readonly LinkDraft[],
  owners: Owners,
  keepSeconds: number,
): void {
  for (const [i, draft] of drafts.entries()) {
    const own = links.filter((l) => l.from === i && !l.late);
    const most = i === 0 ? 6 + rolls.upTo(10) : rolls.upTo(24);
    const rows: Filling[] = [];
    for (let n = 0; n < most; n += 1) {
      const row = rowOf(rolls, draft, n, owners, keepSeconds);
      for (const l of own.filter((x) => x.to !== i)) refer(rolls, row, l, drafts[l.to]!.rows);
      // A child that must have a parent, of which there is none.
      if (draft.columns.every((c) => !c.notNull || c.more || row[c.name] != null)) rows.push(row);
    }
    for (const l of own.filter((x) => x.to === i)) {
      const circles = rolls.chance(25);
      for (const [n, row] of rows.entries()) refer(rolls, row, l, circles ? rows : rows.slice(0, n));
    }
    draft.rows = rows;
  }
  for (const l of links.filter((x) => x.late)) {
    for (const row of drafts[l.from]!.rows) refer(rolls, row as Filling, l, drafts[l.to]!.rows);
  }
}

function rowOf(rolls: Rolls, draft: Draft, n: number, owners: Owners, keepSeconds: number): Filling {
  const row: Filling = {};
  for (const c of draft.columns) row[c.name] = draft.types.get(c.name)?.value(n, rolls) || null;
  if (draft.clock && !draft.clock.in) {
    const { column, second } = draft.clock;
    const isOpen = !draft.key.includes(column);
    for (const c of [column, ...(second ? [second.column] : [])])
      row[c] = written(age(rolls, keepSeconds, isOpen), draft.clock);
    // Of two, the first is often not there.
    if (second && rolls.chance(40)) row[column] = null;
  }
  if (draft.organization) row[draft.organization] = rolls.chance(20) ? null : rolls.of(owners.organizations);
  if (draft.person) row[draft.person] = rolls.chance(30) ? null : rolls.of(owners.people);
  if (draft.kind) row[draft.kind] = rolls.chance(10) ? null : rolls.of(KINDS);
  if (draft.flag) row[draft.flag] = rolls.of([null, 'true', 'false', 'false']);
  if (draft.file) row[draft.file] = fileOf(rolls, draft, n);
  if (draft.bytes) row[draft.bytes] = rolls.chance(10) ? null : String(rolls.upTo(5000));
  return row;
}

function fileOf(rolls: Rolls, draft: Draft, n: number): string | null {
  const roll = rolls.upTo(10);
  if (roll < 2) return null;
  if (roll < 3) return '';
  // The same file as other rows'.
  if (roll < 4) return `${PREFIX}shared.bin`;
  return `${PREFIX}${draft.name.replaceAll(/[^a-z]/g, '')}${n}-${rolls.hex(6)}.bin`;
}

function refer(rolls: Rolls, row: Filling, l: LinkDraft, among: readonly Row[]): void {
  const target = among.length === 0 || rolls.chance(12) ? undefined : rolls.of(among);
  for (const [i, column] of l.columns.entries()) row[column] = target?.[l.targets[i]!] ?? null;
}
