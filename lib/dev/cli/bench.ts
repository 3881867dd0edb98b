/**
 * `npm run bench -- [--quick] [--only NAME,…] [--rows N] [--rounds N] [--cores N] [--database URL] [--folder DIR] [--json FILE]`:
 * deletes the same backlog in every way, on fresh copies of the same table on the same server, one after the other, each
 * round in another order (the median counts); then shows how the speed holds as things around it change. `--only ways`
 * is the first part alone; any scene's name another; several are parted by commas. A benchmark, not a test: nothing depends on its figures.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { compareWays } from '../bench/compare';
import { pinTo } from '../bench/cores';
import { begin, say } from '../bench/progress';
import { scenes } from '../bench/scenes';
import { Databases } from '../bench/stage';
import { LEAST_ROWS } from '../bench/ways';
import { startLocalCloud } from '../local-cloud';

const { values } = parseArgs({
  options: {
    rows: { type: 'string' },
    rounds: { type: 'string' },
    cores: { type: 'string' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    database: { type: 'string' },
    folder: { type: 'string', default: '.lapse/bench' },
    json: { type: 'string' },
  },
});
const only = values.only?.split(',').map((name) => scenes.find((s) => s.only === name)?.name ?? name);
const alone = only?.length === 1 ? scenes.find((s) => s.name === only[0]) : undefined;
const rowsGiven = values.rows ?? String(alone?.leastRows ?? (values.quick ? 200_000 : 1_000_000));
const roundsGiven = values.rounds ?? (values.quick ? '1' : '3');
for (const [name, given] of Object.entries({
  rows: rowsGiven,
  rounds: roundsGiven,
  cores: values.cores ?? '1',
})) {
  if (!/^[1-9]\d*$/.test(given)) refuse(`--${name} takes a whole number from 1`);
}
const names = ['ways', ...scenes.map((s) => s.name)];
if (only?.some((name) => !names.includes(name))) refuse(`--only takes some of ${names.join(', ')}`);
if (values.cores !== undefined && values.database !== undefined) {
  refuse('--cores pins the server that the bench starts, not the one of --database: leave one out');
}
if (values.cores !== undefined) pinTo(Number(values.cores));

const isWanted = (name: string) => only === undefined || only.includes(name);
const rows = Number(rowsGiven);
const rounds = Number(roundsGiven);
if (isWanted('ways') && rows < LEAST_ROWS) {
  refuse(`--rows takes at least ${LEAST_ROWS} for the ways: with fewer no run goes by the blocks of a table`);
}

// `--database`: the owner's address of any PostgreSQL; the bench makes databases of its own there and drops them.
const cloud = await startLocalCloud({
  folder: values.folder,
  ...(values.database === undefined ? {} : { postgresUrl: values.database }),
});
try {
  const databases = new Databases(cloud);
  begin(`seeding ${rows.toLocaleString('en')} rows`);
  const asOf = new Date();
  await databases.seed(rows, asOf);
  const cutoff = new Date(asOf.getTime() - 30 * 86_400_000).toISOString();
  const stage = { rows, rounds, cutoff, store: cloud.blob, fresh: databases.fresh.bind(databases) };
  const compared = isWanted('ways') ? await compareWays(stage) : { ratios: {}, ways: {} };
  const ratios: Record<string, number> = { ...compared.ratios };
  const found: Record<string, Record<string, unknown>> = {};
  const lines = new Table({ head: ['figure', 'measured', 'wanted'], style: { head: [], border: [] } });
  for (const scene of scenes.filter((s) => isWanted(s.name))) {
    begin(scene.name);
    const { ratio, figures } = await scene.run(stage);
    ratios[scene.name] = ratio;
    found[scene.name] = figures;
    say(`${scene.name}: ${ratio.toFixed(2)} (wanted ${scene.target})`);
    lines.push([scene.name, ratio.toFixed(2), scene.target]);
  }
  for (const [name, ratio] of Object.entries(compared.ratios)) lines.push([name, ratio.toFixed(2), '']);
  say(lines.toString());
  if (values.json) {
    const { ways } = compared;
    const of = { rows, rounds, cores: values.cores ? Number(values.cores) : null };
    writeFileSync(values.json, `${JSON.stringify({ ...of, ratios, ways, scenes: found }, null, 2)}\n`);
  }
} finally {
  await cloud.stop();
}
process.exit(0);

function refuse(why: string): never {
  console.error(why);
  process.exit(2);
}
