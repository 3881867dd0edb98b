/**
 * `npm run erasures:replay [-- --dry-run]`: holds every entry of the ledger of finished erasures against the database of this
 * environment and erases again what came back. The cron `erasures` does so by itself when it finds the database restored; this does
 * it whatever it finds, and does not wait for the hour. Ends with code 1 when something is still to be done.
 */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { resumeErasures } from '../../rights/erase';
import { endReplay, replayAll } from '../../rights/ledger/replay';
import { createServices } from '../../services';

/** Nothing ends this process but its own work. */
const HOURS = 24;

const { values } = parseArgs({ options: { 'dry-run': { type: 'boolean', default: false } } });
try {
  process.exitCode = await main(values['dry-run']);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}

async function main(asked: boolean): Promise<number> {
  const services = createServices();
  const dryRun = asked || services.settings.dryRun;
  const found = await replayAll(services, dryRun);
  if (!found) throw new Error('no ledger is kept: LAPSE_RIGHTS_KEY and BLOB_READ_WRITE_TOKEN are needed');
  const { checked, cameBack, unproven, unreadable } = found;
  console.log(
    `${checked} entries; ${cameBack} came back, ${unproven} without proof, ${unreadable} that no key opens`,
  );
  if (dryRun) {
    console.log(`[DRY RUN] nothing was erased${asked ? '' : ` (${services.settings.dryRunBecause})`}`);
    return cameBack > 0 ? 1 : 0;
  }
  const deadline = new Date(services.clock().getTime() + HOURS * 3_600_000);
  const order = { actor: 'erasures', correlationId: randomUUID(), deadline, dryRun: false };
  // A call takes some of them; what is held stays, and the cron resumes it.
  for (let done = true; done; ) {
    const { message, erasures } = await resumeErasures(services, order);
    for (const { id, outcome, message: said } of erasures) console.log(`${id}: ${outcome}, ${said}`);
    console.log(message);
    done = erasures.some((e) => e.outcome === 'succeeded');
  }
  const isEnded = await endReplay(services, services.log);
  console.log(isEnded ? 'the replay is over' : 'not over yet: the cron erasures resumes it');
  return isEnded && unproven + unreadable === 0 ? 0 : 1;
}
