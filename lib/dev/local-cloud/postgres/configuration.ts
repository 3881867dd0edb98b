/**
 * The few server settings that differ from PostgreSQL's own: loopback only, UTC, the connection limit of a
 * small Neon compute, and enough memory and log space that a demo of a million rows measures the
 * deletion and not a checkpoint every few seconds.
 */
/** `more` wins over what stands here, each value as the file has it. */
export function serverSettings(
  port: number,
  durable: boolean,
  more: Readonly<Record<string, string>> = {},
): string {
  const settings: Record<string, string> = {
    listen_addresses: "'127.0.0.1'",
    port: String(port),
    unix_socket_directories: "''",
    // A 0.25 compute unit of Neon allows 112.
    max_connections: '100',
    shared_buffers: '256MB',
    max_wal_size: '2GB',
    checkpoint_timeout: '15min',
    timezone: "'UTC'",
    log_timezone: "'UTC'",
    // A client's errors travel in its answers, and the session reset warns "no transaction in progress" each time.
    log_min_messages: 'log',
    log_checkpoints: 'off',
    log_min_error_statement: 'panic',
    ...(durable ? {} : throwAway),
    ...more,
  };
  return `${Object.entries(settings)
    .map(([name, value]) => `${name} = ${value}`)
    .join('\n')}\n`;
}

/** Nothing survives a power failure; vacuum never runs in the middle of a test. */
const throwAway: Record<string, string> = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
};
