/**
 * `--cores N`: the bench, and with it the server it starts, on N cores only, so that figures of machines compare.
 * A process cannot pin itself from Node: the bench starts itself once more below util-linux's taskset.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** Set in the pinned process, so that it does not start itself again. */
const PINNED = 'LAPSE_BENCH_CORES';

/** Returns when this process runs on `cores` cores; otherwise runs it there and ends with its exit code. */
export function pinTo(cores: number): void {
  if (process.env[PINNED] === String(cores)) return;
  const has = availableParallelism();
  if (cores > has) refuse(`--cores ${cores}: this machine has ${has}`);
  const list = `0-${cores - 1}`;
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const run = spawnSync('taskset', ['-c', list, ...again], {
    stdio: 'inherit',
    env: { ...process.env, [PINNED]: String(cores) },
  });
  if (run.error) refuse('--cores needs the command taskset (util-linux): it is on Linux only');
  process.exit(run.status ?? 1);
}

function refuse(why: string): never {
  console.error(why);
  process.exit(2);
}
