/** `npm run migrate -- [up|down] [--set retention|example]… [--count N]`, against MIGRATION_DATABASE_URL. */
import { parseArgs } from 'node:util';
import { type MigrationSet, migrate, SETS } from '../migrations/migrate';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { set: { type: 'string', multiple: true }, count: { type: 'string' } },
});
const direction = positionals[0] ?? 'up';
const sets = values.set ?? ['retention'];
const url = process.env.MIGRATION_DATABASE_URL;
const wrong =
  direction !== 'up' && direction !== 'down'
    ? `"${direction}" is not a direction: say up or down`
    : sets.find((s) => !SETS.includes(s as MigrationSet))
      ? `--set takes ${SETS.join(' or ')}`
      : values.count !== undefined && !/^[1-9]\d*$/.test(values.count)
        ? '--count takes a whole number from 1'
        : !url
          ? 'MIGRATION_DATABASE_URL is not set: the direct (not pooled) connection string of the role that owns the database'
          : null;
if (wrong) {
  console.error(wrong);
  process.exit(2);
}
const ran = await migrate(url as string, {
  sets: sets as MigrationSet[],
  direction: direction as 'up' | 'down',
  ...(values.count ? { count: Number(values.count) } : {}),
});
console.log(ran.length > 0 ? ran.map((m) => `${direction} ${m}`).join('\n') : 'nothing to do');
