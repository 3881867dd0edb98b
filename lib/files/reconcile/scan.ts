/**
 * One scan, or the part of it that fits into one call: first what the store has, then what the rows name. Each page is
 * noted before the cursor moves past it, so a call that dies leaves nothing out.
 */
import type { Logger } from 'pino';
import { type Blob, hostsOf } from '../../platform/blob';
import type { Ending } from '../../platform/outcome';
import type { Services } from '../../services';
import { announceFiles } from '../announce';
import {
  beginScan,
  endListing,
  endScan,
  type FileSource,
  nextNamed,
  noteChecked,
  noteListed,
  queueRipe,
  scannedSince,
} from '../finding';
import { prefixesOf } from '../folders';
import { fileReferencesOf } from '../references';
import { newScan, Place, readScan, saveScan } from './cursor';
import { sourcesOf } from './declared';
import { lookAt } from './look';

/** The store's own maximum. */
const LIST_PAGE = 1_000;
/** Rows a request, and the looks at the store that follow it. */
const CHECK_PAGE = 200;
/** An upload is followed by its row within minutes, a restore within hours: a day is far from both. */
const GRACE_SECONDS = 86_400;
/** A scan that lost its cursor begins anew at once; half a day is a second opinion. */
const APART_SECONDS = 12 * 3_600;
/** More orphans than this in one scan mean something is wrong with us rather than with them. */
const MOST_PER_SCAN = 1_000;
/** A day, less the hours over which the cron calls. */
const BETWEEN_SCANS_MS = 20 * 3_600_000;
const CLOSING_MS = 5_000;

export interface ScanRequest {
  readonly deadline: Date;
  /** RECONCILE_DELETE: else nothing is ever queued. */
  readonly mayDelete: boolean;
  /** The cron calls often, so that a large scan makes progress; it begins a new one once a day. */
  readonly trigger: 'cron' | 'manual';
}

export const skipped = (reason: string, message: string): Ending<string> => ({
  outcome: 'skipped',
  reason,
  message,
});
const outOfTime: Ending<string> = {
  outcome: 'interrupted',
  reason: 'time',
  message: 'out of time; the next call continues from the cursor',
};

export class Scan {
  /** Of this call. */
  readonly sums = { listed: 0, orphans: 0, checked: 0, missing: 0, queued: 0, queuedBytes: 0 };
  /** Null until there is a scan. */
  id: string | null = null;
  readonly #prefixes: readonly string[];
  readonly #sources: readonly FileSource[];

  constructor(
    private readonly services: Services,
    private readonly request: ScanRequest,
    private readonly log: Logger,
  ) {
    this.#prefixes = prefixesOf(services.policies);
    this.#sources = sourcesOf(services.policies);
  }

  get isEmpty(): boolean {
    return this.#sources.length === 0;
  }

  async compare(blob: Blob): Promise<Ending<string>> {
    const { redis, clock } = this.services;
    const saved = await readScan(redis);
    if (!saved && (await this.#hasToWait())) return skipped('recent', 'the last scan is less than a day old');
    const place = new Place(redis, saved ?? newScan(clock()));
    this.id = place.now.id;
    if (!saved) await this.#begin(place);
    return (await this.#listStage(place, blob)) ?? (await this.#checkStage(place, blob)) ?? this.#end(place);
  }

  /** The cron begins a scan once a day. */
  async #hasToWait(): Promise<boolean> {
    if (this.request.trigger !== 'cron') return false;
    const { clock, database } = this.services;
    return scannedSince(database, new Date(clock().getTime() - BETWEEN_SCANS_MS));
  }

  async #begin(place: Place): Promise<void> {
    await beginScan(this.services.database, place.scan, this.request.mayDelete ? 'delete' : 'report');
    await place.move({});
  }

  /** Every file below the prefixes: one that no row names is an orphan. */
  async #listStage(place: Place, blob: Blob): Promise<Ending<string> | null> {
    const { database, policies } = this.services;
    const references = fileReferencesOf(policies);
    while (place.now.stage === 'list') {
      const { index, after } = place.now;
      const prefix = this.#prefixes[index];
      if (prefix === undefined) {
        await this.#endListing(place);
        break;
      }
      if (this.#isOutOfTime()) return outOfTime;
      const { files, cursor } = await blob.list({ prefix, cursor: after, limit: LIST_PAGE });
      if (files.length > 0) {
        this.sums.orphans += await noteListed(database, place.scan, files, references);
        this.sums.listed += files.length;
      }
      await place.move(cursor === null ? { index: index + 1, after: null } : { after: cursor });
    }
    return null;
  }

  async #endListing(place: Place): Promise<void> {
    await endListing(this.services.database, place.scan);
    if (this.request.mayDelete) await this.#queueOrphans(place);
    await place.move({ stage: 'check', index: 0, after: null });
  }

  async #queueOrphans(place: Place): Promise<void> {
    await announceFiles(this.services.redis, this.request.deadline);
    const done = await queueRipe(this.services.database, place.scan, {
      graceSeconds: GRACE_SECONDS,
      apartSeconds: APART_SECONDS,
      cap: MOST_PER_SCAN,
      folders: this.#prefixes,
      actor: this.request.trigger,
    });
    if (done === null) {
      this.log.warn({ event: 'blob.orphans_stopped' }, 'everything is stopped: no orphan was queued');
      return;
    }
    this.sums.queued = done.queued;
    this.sums.queuedBytes = done.bytes;
    if (done.queued === MOST_PER_SCAN) {
      this.log.warn(
        { event: 'blob.orphans_capped', queued: done.queued },
        'more orphans than one scan may queue: look at why before raising it',
      );
    }
  }

  /** Every row that names a file: one that is not in the store is missing. */
  async #checkStage(place: Place, blob: Blob): Promise<Ending<string> | null> {
    const hosts = hostsOf(blob.bases);
    for (;;) {
      const { index, after } = place.now;
      const source = this.#sources[index];
      if (!source) return null;
      if (this.#isOutOfTime()) return outOfTime;
      const position = after === null ? null : (JSON.parse(after) as string[]);
      const files = await nextNamed(this.services.database, source, position, CHECK_PAGE, hosts);
      const { missing, present } = await lookAt(blob, files);
      this.sums.missing += await noteChecked(this.services.database, place.scan, source, missing, present);
      this.sums.checked += files.length;
      const last = files.at(-1);
      const isDone = !last || files.length < CHECK_PAGE;
      await place.move(isDone ? { index: index + 1, after: null } : { after: JSON.stringify(last.position) });
    }
  }

  async #end(place: Place): Promise<Ending<string>> {
    const { database, redis, clock } = this.services;
    await endScan(database, place.scan, clock());
    await saveScan(redis, null);
    return { outcome: 'succeeded', reason: null, message: 'everything was compared' };
  }

  #isOutOfTime(): boolean {
    return this.request.deadline.getTime() - this.services.clock().getTime() < CLOSING_MS;
  }
}
