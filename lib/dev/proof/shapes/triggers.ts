/** Triggers of the business: some only watch, some keep a row in silence, some take another one along. */
import type { Rolls } from './rolls';
import { literal, quoted, type ShapeTable, type Trigger, tableOf } from './shape';
import type { Draft } from './tables';

/** A row whose number can be divided by it is kept. */
export const KEPT_EVERY = 4;

export function addTriggers(rolls: Rolls, drafts: readonly Draft[]): void {
  if (!rolls.chance(20)) return;
  const kind = rolls.of(['watches', 'watches', 'keeps', 'deletes'] as const);
  const draft = rolls.of(drafts);
  draft.trigger = { name: draft.names.next('watch'), kind };
}

export function triggerSql(t: ShapeTable, trigger: Trigger): string[] {
  const number = `old.${quoted(t.columns[0]!.name)}`;
  const body = {
    watches: 'return old;',
    keeps: `if ${number} % ${KEPT_EVERY} = 0 then return null; end if; return old;`,
    deletes: `delete from ${tableOf(t)} where ${quoted(t.columns[0]!.name)} = ${number} + 1; return old;`,
  }[trigger.kind];
  const name = `public.${quoted(`${trigger.name}_f`)}`;
  return [
    `create function ${name}() returns trigger language plpgsql security definer as ${literal(`begin ${body} end`)}`,
    `create trigger ${quoted(trigger.name)} before delete on ${tableOf(t)} for each row execute function ${name}()`,
  ];
}
