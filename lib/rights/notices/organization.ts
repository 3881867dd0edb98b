/** One organization: what it is told of, its message claimed, sent and settled. */
import { z } from 'zod';
import type { JobRequest } from '../../platform/job';
import { oneRow, query } from '../../platform/query';
import { askOne } from '../../platform/session';
import type { LinkSettings } from '../../platform/settings/links';
import { sql } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Services } from '../../services';
import { compose, type Told } from './compose';
import type { Mailer } from './mail';
import { hashesOf, isAddress, type Recipient } from './recipients';
import type { Part } from './upcoming';

const LIMITS = { statementMs: 5_000, lockMs: 5_000 };
/** Longer than a function may take: whoever claimed it has ended by then. */
const LEASE_SECONDS = 900;
/** The next call of the job tries again. */
const RETRY_SECONDS = 600;
const DAY_MS = 86_400_000;
/** Messages in a row that no server took: then it is the server, and not what one recipient's makes of a message. */
const MOST_IN_A_ROW = 3;

export interface Tally {
  /** Organizations with something to hear of. */
  due: number;
  delivered: number;
  failed: number;
  /** Of messages that a policy requires. */
  undelivered: number;
  unaddressed: number;
  /** Perhaps delivered by a call that ended in between. */
  unsure: number;
  /** Why the mail server takes nothing; null while it does. */
  down: string | null;
  outOfTime: boolean;
}

/** What a message says of one policy at one threshold, and what is recorded of it. */
interface Announced {
  readonly part: Part;
  readonly told: Told;
}

const Claimed = z.object({ id: z.string().nullable() }).transform((row) => row.id);
const Settled = z.object({ done: z.boolean() }).transform((row) => row.done);

export class Notices {
  readonly tally: Tally = {
    ...{ due: 0, delivered: 0, failed: 0, undelivered: 0, unaddressed: 0, unsure: 0 },
    down: null,
    outOfTime: false,
  };
  #untaken = 0;

  constructor(
    private readonly services: Services,
    private readonly request: JobRequest,
    private readonly links: LinkSettings,
    private readonly mailer: Mailer,
  ) {}

  /** False when the mail server is down. */
  async tell(tenant: string, parts: readonly Part[], recipient: Recipient | null): Promise<boolean> {
    const address = recipient?.address ?? null;
    const isRequired = (p: Part) => this.#policy(p).notice!.requiredDays !== undefined;
    if (!isAddress(address)) {
      if (parts.some(isRequired)) this.tally.unaddressed += 1;
      return true;
    }
    const hashes = hashesOf(this.links, address);
    const stopped = hashes.some((h) => recipient!.stopped.includes(h));
    const wanted = stopped ? parts.filter(isRequired) : parts;
    if (wanted.length === 0) return true;
    this.tally.due += 1;
    if (this.request.dryRun) return true;
    return this.#send(tenant, wanted, { address, hash: hashes[0], zone: recipient!.zone });
  }

  async #send(
    tenant: string,
    parts: readonly Part[],
    to: { address: string; hash: string; zone: string | null },
  ): Promise<boolean> {
    const { tally, services } = this;
    const now = services.clock();
    const announced = parts.map((part): Announced => ({ part, told: this.#told(part, now) }));
    const required = parts.some((p) => this.#policy(p).notice!.requiredDays !== undefined);
    const id = await this.#claim(tenant, to.hash, required, announced);
    if (id === null) return true;
    const told = announced.map((a) => a.told);
    const mail = await compose(this.links, { id, tenant, recipient: to.hash, zone: to.zone, told, now });
    const sent = await this.mailer.send(to.address, id, mail);
    const isDown = sent.how === 'unknown' || (sent.how === 'refused' && sent.isDown);
    this.#untaken = isDown ? this.#untaken + 1 : 0;
    tally.down = sent.how !== 'taken' && isDown ? sent.because : null;
    if (sent.how === 'taken') {
      if (await this.#settle(id, null)) tally.delivered += 1;
      return true;
    }
    tally.failed += 1;
    if (required) tally.undelivered += 1;
    const { log } = services;
    log.warn(
      { event: 'notice.undelivered', error_code: sent.because, how: sent.how },
      'a message was not taken',
    );
    // Not known: the claim runs out, and what is required is sent again then.
    if (sent.how === 'refused') await this.#settle(id, sent.because);
    return this.#untaken < MOST_IN_A_ROW;
  }

  #policy(part: Part): Policy {
    return this.services.policies.find((p) => p.name === part.policy)!;
  }

  #told(part: Part, now: Date): Told {
    const { notice, name } = this.#policy(part);
    const { requiredDays, extendDays } = notice!;
    const last = new Date(part.last_due);
    // What must have been told whole days before goes that much later (lib/engine/statement/predicate.ts).
    const since = part.told_at === null ? now : new Date(part.told_at);
    const told =
      requiredDays === undefined ? 0 : (Math.floor(since.getTime() / DAY_MS) + requiredDays + 1) * DAY_MS;
    const goesAt = new Date(Math.max(Date.parse(part.first_due), now.getTime(), told));
    const lastAt = new Date(Math.max(last.getTime(), goesAt.getTime()));
    return {
      policy: name,
      called: notice!.called ?? name,
      thresholdDays: part.threshold_days,
      found: part.found,
      kept: part.kept,
      more: part.more,
      files: part.files,
      bytes: part.bytes,
      digest: part.digest,
      goesAt,
      lastAt,
      keepUntil: extendDays === undefined ? null : new Date(last.getTime() + extendDays * DAY_MS),
    };
  }

  #claim(tenant: string, hash: string, required: boolean, all: readonly Announced[]): Promise<string | null> {
    const parts = all.map(({ part, told }) => ({
      policy: part.policy,
      threshold_days: part.threshold_days,
      keep_seconds: part.keep_seconds,
      since: part.since,
      before: part.before,
      found: part.found,
      digest: part.digest,
      goes_at: told.goesAt.toISOString(),
      keep_until: told.keepUntil?.toISOString() ?? null,
    }));
    const claim = sql`select retention.claim_notice(${tenant}, ${hash}, ${required}::boolean, ${JSON.stringify(parts)}::jsonb, ${LEASE_SECONDS}::int)::text as id`;
    return askOne(this.services.database, query(claim, oneRow(Claimed)), LIMITS);
  }

  #settle(id: string, failure: string | null): Promise<boolean> {
    const settle = sql`select retention.settle_notice(${id}::uuid, ${failure}::text, ${RETRY_SECONDS}::int) as done`;
    return askOne(this.services.database, query(settle, oneRow(Settled)), LIMITS);
  }
}
