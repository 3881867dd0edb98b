/**
 * Portability (GDPR Art. 15, 20): an operator asks for a copy of everything that is held about one subject, hands the link to
 * the person, and within a week it is gone. It is written at once where there is time, else by the hourly job or by a command.
 */
import { randomUUID } from 'node:crypto';
import type { Blob } from '../../platform/blob';
import { codeOf, RequestError } from '../../platform/errors';
import type { Services } from '../../services';
import { linkTo } from '../links';
import type { ErasureCall } from '../result';
import type { Subject } from '../subject';
import { heldAbout } from './holdings';
import { dropAll, pack } from './pack';
import {
  completeExport,
  decideExport,
  type Export,
  endExport,
  endedExports,
  exportsOf,
  openExports,
  readExport,
  requestExport,
} from './store';

/** Where a link of an export leads. */
const EXPORT_PATH = '/api/exports/download';

export interface Exported {
  readonly id: string;
  readonly state: Export['state'];
  readonly message: string;
  readonly rows: number | null;
  readonly files: number | null;
  readonly bytes: number | null;
  readonly expiresAt: string;
  /** Null until it is complete. It opens once. */
  readonly link: string | null;
}

type Call = ErasureCall & { readonly reason: string };
type Ready = Services & { readonly blob: Blob };

/** Throws RequestError where no copy can be made here. */
function ready(services: Services): Ready {
  const { settings, blob } = services;
  if (settings.dryRun) {
    const message = `only dry runs here (${settings.dryRunBecause}): nothing is copied`;
    throw new RequestError(409, 'dry_run', message, 'action');
  }
  if (!blob)
    throw new RequestError(
      409,
      'no_store',
      'BLOB_READ_WRITE_TOKEN is not set: there is no private store to write to',
    );
  if (!settings.links) {
    throw new RequestError(
      409,
      'no_links',
      'LAPSE_LINK_KEY and LAPSE_URL are not set: no link could fetch it',
    );
  }
  return { ...services, blob };
}

/** Records the request and writes the copy, where there is time for it. */
export async function exportSubject(
  services: Services,
  call: Call & { readonly subject: Subject },
): Promise<Exported> {
  const made = ready(services);
  const { subject } = await heldAbout(made, call.subject);
  const asked = await requestExport(made.deciding, subject, call);
  return answerOf(made, await attempt(made, asked, call.deadline));
}

/** A new link of one that is complete. */
export async function linkExport(
  services: Services,
  call: Call & { readonly id: string },
): Promise<Exported> {
  const made = ready(services);
  if (await decideExport(made.deciding, 'link_export', call)) {
    return answerOf(made, { it: (await readExport(made.database, call.id))!, because: null });
  }
  throw new RequestError(
    409,
    'not_there',
    'there is nothing to fetch: it is not complete, was taken back, or has expired',
    'id',
  );
}

export async function withdrawExport(
  services: Services,
  call: Call & { readonly id: string },
): Promise<{ id: string; state: string }> {
  const made = ready(services);
  if (!(await decideExport(made.deciding, 'withdraw_export', call))) {
    throw new RequestError(404, 'unknown', `there is no export ${call.id} to take back`, 'id');
  }
  await end(made, (await readExport(made.database, call.id))!);
  return { id: call.id, state: 'gone' };
}

interface Attempt {
  readonly it: Export;
  /** Why it is not complete. */
  readonly because: string | null;
}

/** Once; `deadline` null takes as long as it takes. */
async function attempt(services: Ready, it: Export, deadline: Date | null): Promise<Attempt> {
  try {
    await completeExport(services.database, it.id, await pack(services, it, deadline));
    return { it: (await readExport(services.database, it.id))!, because: null };
  } catch (error) {
    services.log.error(
      { event: 'export.unwritten', export: it.id, error_code: codeOf(error) },
      'an export is not complete',
    );
    const isSaid = error instanceof RequestError;
    return {
      it,
      because: isSaid
        ? error.message
        : `it could not be written (${codeOf(error)}); the cron erasures tries again`,
    };
  }
}

async function answerOf({ settings, clock }: Services, { it, because }: Attempt): Promise<Exported> {
  const isThere = it.state === 'written' && it.expires_at > clock();
  const link = isThere
    ? await linkTo(settings.links!, EXPORT_PATH, {
        id: randomUUID(),
        purpose: 'export.download',
        subject: { scope: it.scope, id: it.subject },
        about: { export: it.id },
        expiresAt: it.expires_at,
      })
    : null;
  return {
    id: it.id,
    state: it.state,
    message:
      because === null
        ? `${it.row_count} rows and ${it.file_count} files; the link opens once`
        : `not complete: ${because}`,
    rows: it.row_count,
    files: it.file_count,
    bytes: it.byte_count,
    expiresAt: it.expires_at.toISOString(),
    link,
  };
}

/** One that was asked for, with no end of time. Throws RequestError where there is none. */
export async function finishExport(services: Services, id: string): Promise<Exported> {
  const made = ready(services);
  const it = await readExport(made.database, id);
  if (!it) throw new RequestError(404, 'unknown', `there is no export ${id}`, 'id');
  return answerOf(made, it.state === 'requested' ? await attempt(made, it, null) : { it, because: null });
}

/** The hourly part: what is to be written, then what has to go. Returns how many of each. */
export async function carryOutExports(
  services: Services,
  { deadline, dryRun }: { readonly deadline: Date; readonly dryRun: boolean },
): Promise<{ written: number; gone: number }> {
  const { blob } = services;
  if (dryRun || !blob) return { written: 0, gone: 0 };
  const made = { ...services, blob };
  const now = services.clock();
  let [written, gone] = [0, 0];
  for (const it of await endedExports(services.database, now)) {
    if (await isEnded(made, it)) gone += 1;
  }
  for (const it of await openExports(services.database, now)) {
    const done = await attempt(made, it, deadline);
    if (done.because === null) written += 1;
  }
  return { written, gone };
}

/** What the store keeps today goes at a later call; the others are not kept back by it. */
async function isEnded(services: Ready, it: Export): Promise<boolean> {
  try {
    await end(services, it);
    return true;
  } catch (error) {
    services.log.error(
      { event: 'export.undeleted', export: it.id, error_code: codeOf(error) },
      'an export lies in the store longer than it should',
    );
    return false;
  }
}

async function end(services: Ready, { id }: Export): Promise<void> {
  await dropAll(services, id);
  await endExport(services.database, id);
}

/** An erasure leaves no copy behind. False: the store keeps one. */
export async function dropExportsOf(services: Services, subject: Subject): Promise<boolean> {
  const { blob } = services;
  if (!blob) return true;
  let all = true;
  for (const it of await exportsOf(services.database, subject))
    all = (await isEnded({ ...services, blob }, it)) && all;
  return all;
}
