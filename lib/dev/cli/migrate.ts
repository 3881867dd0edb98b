/**
 * `npm run migrate -- [up|down] [--set retention|example]… [--count N]`, against MIGRATION_DATABASE_URL. All the way up,
 * operators are bound to the database as LAPSE_OPERATORS names them; where it is not set or empty, they stay as they are.
 */
import { parseArgs } from 'node:util';
import { operatorList } from '../../platform/settings/operators';
import { type MigrationSet, migrate, SETS } from '../migrate';
import { bindOperators } from '../operators';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { set: { type: 'string', multiple: true }, count: { type: 'string' } },
});
const direction = positionals[0] ?? 'up';
const sets = values.set ?? ['retention'];
const url = process.env.MIGRATION_DATABASE_URL;
const bindsOperators = direction === 'up' && sets.includes('retention') && values.count === undefined;
const operators = operatorList.safeParse((bindsOperators && process.env.LAPSE_OPERATORS) || '');
const wrong =
  direction !== 'up' && direction !== 'down'
    ? `"${direction}" is not a direction: say up or down`
    : sets.find((s) => !SETS.includes(s as MigrationSet))
      ? `--set takes ${SETS.join(' or ')}`
      : values.count !== undefined && !/^[1-9]\d*$/.test(values.count)
        ? '--count takes a whole number from 1'
        : !url
          ? 'MIGRATION_DATABASE_URL is not set: the direct (not pooled) connection string of the role that owns the database'
          : operators.error
            ? `LAPSE_OPERATORS ${operators.error.issues[0]?.message}`
            : null;
if (wrong) {
  console.error(wrong);
  process.exit(2);
}
const ran = await migrate(url as string, {
  sets: sets as MigrationSet[],
  direction: direction as 'up' | 'down',
  ...(values.count ? { count: Number(values.count) } : {}),
  say: (line) => console.log(line),
}).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
const bound = operators.data?.length ? await bindOperators(url as string, operators.data) : [];
const done = [...ran.map((m) => `${direction} ${m}`), ...bound];
console.log(done.length > 0 ? done.join('\n') : 'nothing to do');
