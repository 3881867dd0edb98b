/** Who may not lose what: holds on the subject, on others, and on single rows of any table. */
import type { Rolls } from '../shapes/rolls';
import { labelOf, literal, quoted, tableOf } from '../shapes/shape';
import type { Draft } from './drafts';

const NOTES = 'reason, placed_by, placed_at';
const SAID = `'a case', 'counsel', '2026-02-01Z'`;

export function holdsOn(
  rolls: Rolls,
  all: readonly Draft[],
  subjects: readonly Draft[],
  scope: string,
  subject: string,
): string[] {
  if (!rolls.chance(35)) return [];
  const onSubject = (kind: string, id: string) =>
    `insert into retention.hold (scope, subject, ${NOTES}) values (${literal(kind)}, ${literal(id)}, ${SAID})`;
  return Array.from({ length: 1 + rolls.upTo(2) }, () => {
    const roll = rolls.upTo(100);
    if (roll < 10) return onSubject(scope, subject);
    if (roll < 30) {
      const other = rolls.of(subjects);
      return onSubject(other.subject!, rolls.of(other.rows)[other.key[0]!]!);
    }
    const t = rolls.of(all);
    const row = rolls.of(t.rows);
    const same = t.key.map((k) => `t.${quoted(k)} = ${literal(row[k]!)}`).join(' and ');
    return `insert into retention.hold (scope, subject, table_name, ${NOTES})
  select 'item', ${keyText(t)}, ${literal(labelOf(t))}, ${SAID} from ${tableOf(t)} t where ${same}`;
  });
}

/** As receipts and holds name a row. */
const keyText = ({ key }: Draft): string =>
  key.length === 1
    ? `t.${quoted(key[0]!)}::text`
    : `jsonb_build_array(${key.map((k) => `t.${quoted(k)}::text`).join(', ')})::text`;
