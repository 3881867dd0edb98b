import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { LEAST_ROWS } from '@/lib/dev/bench/ways';

const program = fileURLToPath(new URL('../../../lib/dev/cli/bench.ts', import.meta.url));
const bench = (...args: string[]) => spawnSync('npx', ['tsx', program, ...args], { encoding: 'utf8' });

describe('the bench', () => {
  it('refuses to compare the ways on so few rows that no run would go by the blocks', () => {
    const { status, stderr } = bench('--only', 'ways', '--rows', String(LEAST_ROWS - 1));
    expect(stderr).toContain(`--rows takes at least ${LEAST_ROWS} for the ways`);
    expect(status).toBe(2);
  });

  it('is given enough rows by CI', () => {
    const [, rows] = /--only ways --rows (\d+)/.exec(readFileSync('.ci/run', 'utf8'))!;
    expect(Number(rows)).toBeGreaterThanOrEqual(LEAST_ROWS);
  });
});
