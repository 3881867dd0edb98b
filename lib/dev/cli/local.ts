/**
 * `npm run local`: the local cloud with a migrated and seeded database, and the settings to use it: variables alone on
 * standard output, so that `npm run -s local > .env` writes a file that can be read; everything else on standard error.
 * `npm run dev`: the same, with `next dev` on top. State survives in .lapse/local; Ctrl-C stops everything.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { startLocalCloud } from '../local-cloud';
import { migrate } from '../migrate';
import { fill, SETS } from './fill';

const DATABASE = 'lapse_local';

const cloud = await startLocalCloud({ folder: '.lapse/local', handleSignals: false });
let app: ChildProcess | null = null;
const stop = async () => {
  app?.kill('SIGTERM');
  await cloud.stop();
  process.exit(0);
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop());

const isNew = !(await cloud.databaseExists(DATABASE));
if (isNew) await cloud.createDatabase(DATABASE);
await migrate(cloud.ownerUrl(DATABASE), { sets: SETS, direction: 'up' });
if (isNew) await fill?.(cloud.ownerUrl(DATABASE));

const env = {
  ...cloud.env(DATABASE),
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
if (process.argv[2] === 'dev') {
  const next = path.join('node_modules', 'next', 'dist', 'bin', 'next');
  app = spawn(process.execPath, [next, 'dev'], { env: { ...process.env, ...env }, stdio: 'inherit' });
  app.on('close', () => void stop());
}
