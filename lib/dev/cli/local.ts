/**
 * `npm run local`: the local cloud with a migrated and seeded database, and the settings to use it: variables alone on
 * standard output, so that `npm run -s local > .env` writes a file that can be read; everything else on standard error.
 * `npm run dev`: the same, with `next dev` on top. State survives in .lapse/local; Ctrl-C stops everything.
 * `-- --database postgresql://owner:password@host/name`: Redis, Blob and SQL over HTTP in front of that database instead;
 * `--migrate` brings Lapse's schema up there, `--login name:password` is the app's login where none is to be made.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type LocalCloud, startLocalCloud } from '../local-cloud';
import { startOverDatabase } from '../local-cloud/over-database';
import { migrate } from '../migrate';
import { fill, SETS } from './fill';

const DATABASE = 'lapse_local';
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { database: { type: 'string' }, migrate: { type: 'boolean' }, login: { type: 'string' } },
});

interface Started {
  readonly cloud: LocalCloud;
  readonly env: Record<string, string>;
}

async function startEmbedded(): Promise<Started> {
  const cloud = await startLocalCloud({ folder: '.lapse/local', handleSignals: false });
  const isNew = !(await cloud.databaseExists(DATABASE));
  if (isNew) await cloud.createDatabase(DATABASE);
  await migrate(cloud.ownerUrl(DATABASE), { sets: SETS, direction: 'up' });
  if (isNew) await fill?.(cloud.ownerUrl(DATABASE));
  return { cloud, env: cloud.env(DATABASE) };
}

const startOver = (database: string): Promise<Started> =>
  startOverDatabase({
    database,
    migrate: values.migrate ?? false,
    ...(values.login === undefined ? {} : { login: readLogin(values.login) }),
    say: (line) => console.error(line),
    handleSignals: false,
  });

function readLogin(text: string): { name: string; password: string } {
  const [, name, password] = /^([^:]+):(.+)$/.exec(text) ?? [];
  if (name && password) return { name, password };
  throw new Error('--login takes name:password, of a member of lapse_app, lapse_operator and lapse_reader');
}

function refuseMisused(): void {
  if (values.database !== undefined || !(values.migrate || values.login)) return;
  throw new Error('--migrate and --login belong to --database postgresql://…');
}

async function start(): Promise<Started> {
  try {
    refuseMisused();
    return await (values.database === undefined ? startEmbedded() : startOver(values.database));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  }
}

const { cloud, env: addresses } = await start();
let app: ChildProcess | null = null;
const stop = async () => {
  app?.kill('SIGTERM');
  await cloud.stop();
  process.exit(0);
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop());

const env = {
  ...addresses,
  CRON_SECRET: randomBytes(24).toString('hex'),
  METRICS_TOKEN: randomBytes(24).toString('hex'),
  LAPSE_NAMESPACE: 'local',
};
console.log(
  Object.entries(env)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n'),
);
console.error('\nVERCEL_ENV is not production here, so every run is a dry run. Ctrl-C stops everything.');
if (positionals[0] === 'dev') {
  const next = path.join('node_modules', 'next', 'dist', 'bin', 'next');
  app = spawn(process.execPath, [next, 'dev'], { env: { ...process.env, ...env }, stdio: 'inherit' });
  app.on('close', () => void stop());
}
