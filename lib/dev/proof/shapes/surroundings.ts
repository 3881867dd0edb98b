/** Who may not lose what: holds on organizations, people and single rows, extensions and dead letters, of every table. */
import type { Rolls } from './rolls';
import { labelOf, literal, type ShapeTable, tableOf } from './shape';
import { NOW } from './times';
import { keyText, rowNumbered } from './written';

/** Of a dead letter that was there before: the proof lets it wait, and tries the run's own again. */
export const OLD_LETTER = 'XX999';

interface Among {
  readonly tables: readonly ShapeTable[];
  readonly organizations: readonly string[];
  readonly people: readonly string[];
  readonly policy: string;
}

export function surroundingsOf(rolls: Rolls, among: Among): string[] {
  const statements: string[] = [];
  if (rolls.chance(45)) {
    const times = 1 + rolls.upTo(2);
    for (let i = 0; i < times; i += 1) statements.push(holdOf(rolls, among));
  }
  const any = () => rolls.of(rolls.chance(50) ? among.tables.slice(0, 1) : among.tables);
  if (rolls.chance(20)) statements.push(extensionOf(rolls, any()));
  if (rolls.chance(12)) statements.push(letterOf(rolls, any(), among.policy));
  return statements;
}

const NOTES = 'reason, placed_by, placed_at';
const SAID = `'a case', 'counsel', '2026-02-01Z'`;

function holdOf(rolls: Rolls, { tables, organizations, people }: Among): string {
  const scope = rolls.of(['organization', 'user', 'item', 'item', 'item'] as const);
  if (scope !== 'item') {
    const subject = rolls.of(scope === 'organization' ? organizations : people);
    return `insert into retention.hold (scope, subject, ${NOTES}) values ('${scope}', ${literal(subject)}, ${SAID})`;
  }
  const t = rolls.of(tables);
  const n = String(rolls.upTo(Math.max(1, t.rows.length)));
  return `insert into retention.hold (scope, subject, table_name, ${NOTES})
  select 'item', ${keyText(t)}, ${literal(labelOf(t))}, ${SAID} from ${tableOf(t)} t where ${rowNumbered(t, n)}`;
}

function extensionOf(rolls: Rolls, t: ShapeTable): string {
  // One of two is over already.
  const until = new Date(NOW.getTime() + (rolls.chance(50) ? 1 : -1) * 86_400_000).toISOString();
  return `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by)
  select ${literal(labelOf(t))}, ${keyText(t)}, '${until}', 'an audit', 'alice' from ${tableOf(t)} t where ${rowNumbered(t, String(rolls.upTo(8)))}`;
}

function letterOf(rolls: Rolls, t: ShapeTable, policy: string): string {
  const [state, next] = rolls.of([
    ['discarded', -1],
    ['open', 1],
    ['open', -1],
  ] as const);
  const at = new Date(NOW.getTime() + next * 86_400_000).toISOString();
  return `insert into retention.dead_letter (policy, table_name, row_key, sql_state, state, next_attempt_at)
  select ${literal(policy)}, ${literal(labelOf(t))}, ${keyText(t)}, '${OLD_LETTER}', '${state}', '${at}' from ${tableOf(t)} t where ${rowNumbered(t, String(rolls.upTo(8)))}`;
}
