/** What the SQL proxy is started with: from the environment, all of it checked before it listens. */
import { readFileSync } from 'node:fs';
import { parseIntoClientConfig } from 'pg-connection-string';
import { isLoopback } from '../../platform/transport';
import type { SqlProxyOptions } from './proxy';

type Read = Omit<SqlProxyOptions, 'log'>;

const SESSIONS = { default: 20, most: 1_000 };

/** Throws one Error that names every variable that is missing or wrong. */
export function readProxySettings(env: Record<string, string | undefined>): Read {
  const problems: string[] = [];
  const upstream = upstreamOf(env.SQL_PROXY_DATABASE, problems);
  const listen = listenOf(env.SQL_PROXY_LISTEN ?? '127.0.0.1:8432', problems);
  const tls = tlsOf(env.SQL_PROXY_TLS_CERT, env.SQL_PROXY_TLS_KEY, problems);
  const token = env.SQL_PROXY_TOKEN ?? '';
  if (!/^[\x21-\x7e]{16,}$/.test(token)) {
    problems.push('SQL_PROXY_TOKEN must be at least 16 printable characters: openssl rand -hex 32');
  }
  if (listen && !tls && !isLoopback(`http://${listen.host}`)) {
    problems.push(
      'SQL_PROXY_LISTEN is not this machine alone: set SQL_PROXY_TLS_CERT and SQL_PROXY_TLS_KEY, since passwords are sent to it',
    );
  }
  const sessions = Number(env.SQL_PROXY_SESSIONS ?? SESSIONS.default);
  if (!Number.isInteger(sessions) || sessions < 1 || sessions > SESSIONS.most) {
    problems.push(`SQL_PROXY_SESSIONS must be a whole number from 1 to ${SESSIONS.most}`);
  }
  if (problems.length > 0 || !upstream || !listen)
    throw new Error(`the SQL proxy cannot start:\n  - ${problems.join('\n  - ')}`);
  return { ...upstream, ...listen, tls, token, sessions };
}

const DATABASE = 'SQL_PROXY_DATABASE';
function upstreamOf(
  text: string | undefined,
  problems: string[],
): Pick<Read, 'upstream' | 'database'> | undefined {
  const url = text && URL.canParse(text) ? new URL(text) : undefined;
  const database = decodeURIComponent(url?.pathname.slice(1) ?? '');
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || !url.hostname || !database) {
    problems.push(
      `${DATABASE} must be postgresql://host:5432/database?sslmode=verify-full, without a user: each request brings its own`,
    );
    return undefined;
  }
  if (url.username || url.password)
    problems.push(`${DATABASE} must name no user: each request brings its own`);
  const tls = parseIntoClientConfig(url.href).ssl ?? false;
  const isVerified = tls === true || (typeof tls === 'object' && tls.rejectUnauthorized !== false);
  if (!isLoopback(url.href) && !isVerified)
    problems.push(`${DATABASE} is on another machine: add ?sslmode=verify-full`);
  return { database, upstream: { host: url.hostname, port: Number(url.port || 5432), tls } };
}

function listenOf(text: string, problems: string[]): Pick<Read, 'host' | 'port'> | undefined {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  if (host && Number(port) <= 65_535) return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
  problems.push('SQL_PROXY_LISTEN must be host:port, e.g. 0.0.0.0:8432');
  return undefined;
}

function tlsOf(cert: string | undefined, key: string | undefined, problems: string[]): Read['tls'] {
  if (!cert && !key) return undefined;
  try {
    return { cert: readFileSync(cert ?? ''), key: readFileSync(key ?? '') };
  } catch {
    problems.push('SQL_PROXY_TLS_CERT and SQL_PROXY_TLS_KEY must both be files in PEM that can be read');
    return undefined;
  }
}
