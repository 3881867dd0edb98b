/** Organizations that have a period of their own, whatever their plan says. */
import type { Rolls } from './rolls';
import { literal } from './shape';
import { DAY } from './times';

export function overridesOf(rolls: Rolls, policy: string, organizations: readonly string[]): string[] {
  if (!rolls.chance(65)) return [];
  const some = organizations.filter(() => rolls.chance(40));
  return (some.length > 0 ? some : organizations.slice(0, 1)).map((organization) => {
    // Null: forever.
    const seconds = rolls.of([null, String(DAY), String(30 * DAY), String(400 * DAY)]);
    return `insert into retention.period_override (policy, tenant, keep_seconds, reason, set_by)
  values (${literal(policy)}, ${literal(organization)}, ${seconds ?? 'null'}, 'a contract', 'alice')`;
  });
}
