/**
 * One JSON object a line on standard output (M1): timestamp, level, correlation_id, script, event and what the
 * event needs. Written synchronously: a function that is frozen after its answer loses no line. No line holds
 * row values, addresses of people or secrets.
 */
import pino, { type DestinationStream, type Logger } from 'pino';

export function createLog(options: { level: string; destination?: DestinationStream }): Logger {
  return pino(
    {
      level: options.level,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: [
          'authorization',
          'token',
          'secret',
          'password',
          '*.authorization',
          '*.token',
          '*.secret',
          '*.password',
        ],
        censor: '[redacted]',
      },
    },
    options.destination ?? pino.destination({ dest: 1, sync: true }),
  );
}
