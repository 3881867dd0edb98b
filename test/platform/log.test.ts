import { expect, it } from 'vitest';
import { createLog } from '@/lib/platform/log';

const written = (use: (log: ReturnType<typeof createLog>) => void, level = 'info') => {
  const lines: string[] = [];
  use(createLog({ level, destination: { write: (line) => void lines.push(line) } }));
  return lines.map((l) => JSON.parse(l) as Record<string, unknown>);
};

it('is one JSON object a line, with the names of the contract', () => {
  const [line] = written((log) =>
    log
      .child({ correlation_id: 'c', script: 'things' })
      .info({ event: 'cleanup_completed', records_deleted: 3 }, 'done'),
  );
  expect(line).toMatchObject({
    level: 'info',
    correlation_id: 'c',
    script: 'things',
    event: 'cleanup_completed',
    records_deleted: 3,
    message: 'done',
  });
  expect(new Date(String(line?.timestamp)).toISOString()).toBe(line?.timestamp);
  expect(Object.keys(line ?? {})).not.toContain('pid');
});

it('obeys LOG_LEVEL', () => {
  expect(written((log) => log.info('quiet'), 'warn')).toEqual([]);
});

it('never shows a secret that was handed to it', () => {
  const [line] = written((log) =>
    log.info({ token: 'hunter2', headers: { authorization: 'Bearer hunter2' } }, 'oops'),
  );
  expect(JSON.stringify(line)).not.toContain('hunter2');
});
