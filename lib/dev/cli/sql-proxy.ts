/**
 * `npm run sql-proxy`: serves Neon's SQL over HTTP in front of a PostgreSQL of your own, as a service beside it, with the
 * settings of docs/DATABASES.md. SIGTERM lets the requests under way finish.
 */
import { createLog } from '../../platform/log';
import { startSqlProxy } from '../sql-proxy/proxy';
import { readProxySettings } from '../sql-proxy/settings';

const log = createLog({ level: process.env.LOG_LEVEL ?? 'info' });
try {
  const settings = readProxySettings(process.env);
  const proxy = await startSqlProxy({ ...settings, log });
  const { host, port } = settings.upstream;
  log.info({ event: 'sql_proxy.started' }, `${proxy.url} serves ${settings.database} at ${host}:${port}`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      log.info({ event: 'sql_proxy.stopping' }, 'requests under way may finish');
      void proxy.stop().then(() => process.exit(0));
    });
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(2);
}
