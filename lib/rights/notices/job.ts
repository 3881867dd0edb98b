/**
 * The job `notices`: each organization with something to hear of gets one message for all policies. The message is claimed in
 * PostgreSQL before it is sent and settled by the mail server's answer, so that no two say the same. A server that is down ends the job;
 * the next one finds the same, with the days that were lost, and what is required moves by those days.
 */

import { z } from 'zod';
import { windowOf } from '../../engine/statement/spans';
import { reportIncidents } from '../../platform/alerts/incidents';
import { LapseError } from '../../platform/errors';
import type { JobRequest, JobResult } from '../../platform/job';
import { oneRow, query } from '../../platform/query';
import { askEach, askOne } from '../../platform/session';
import { sql, tableLabel } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Services } from '../../services';
import { mailer } from './mail';
import { Notices, type Tally } from './organization';
import { recipientsOf } from './recipients';
import { type Horizon, horizonsOf, type Part, partsOf } from './upcoming';

/** Organizations a request: each costs a probe of the index for every policy and threshold. */
const WINDOW = 100;
const READING = { statementMs: 15_000, readOnly: true, indexesOnly: true };
const WRITING = { statementMs: 5_000 };
/** Kept back for the message that is on its way and for the answer. */
const CLOSING_MS = 20_000;
const DAY_MS = 86_400_000;

export interface NoticesResult extends JobResult {
  readonly notices?: Tally;
}

export async function sendNotices(services: Services, request: JobRequest): Promise<NoticesResult> {
  const policies = services.policies.filter((p) => p.notice !== undefined);
  if (policies.length === 0) {
    const message = 'no policy tells organizations before their rows go';
    return { outcome: 'succeeded', reason: null, message, nextLook: null };
  }
  const { notices: mail, links } = services.settings;
  if (mail === undefined || links === undefined) {
    throw new LapseError(
      'settings',
      'NOTICE_SMTP_URL, NOTICE_FROM, LAPSE_LINK_KEY and LAPSE_URL are required',
    );
  }
  const sender = mailer(mail, new URL(links.url).hostname);
  try {
    const notices = new Notices(services, request, links, sender);
    if (!request.dryRun) notices.tally.unsure = await giveUp(services);
    for (const group of byTenants(policies)) {
      if (!(await tellGroup(services, request, group, notices))) break;
    }
    if (!request.dryRun) await report(services, notices.tally);
    return ending(services, request, notices.tally);
  } finally {
    sender.close();
  }
}

/** Organizations of one table hear of all policies in one message. */
function byTenants(policies: readonly Policy[]): Policy[][] {
  const groups = new Map<string, Policy[]>();
  for (const policy of policies) {
    const { table, key } = policy.tenants!;
    const of = `${tableLabel(table)} ${key.column}`;
    groups.set(of, [...(groups.get(of) ?? []), policy]);
  }
  return [...groups.values()];
}

const Count = z.object({ n: z.coerce.number() }).transform((row) => row.n);
const giveUp = ({ database }: Services): Promise<number> =>
  askOne(database, query(sql`select retention.give_up_notices()::text as n`, oneRow(Count)), WRITING);

/** Window after window of organizations; false when the mail server is down or the time is up. */
async function tellGroup(
  services: Services,
  { deadline }: JobRequest,
  policies: readonly Policy[],
  notices: Notices,
): Promise<boolean> {
  const horizons: Horizon[][] = [];
  for (const policy of policies) horizons.push(await horizonsOf(services, policy));
  let behind: string | null = null;
  for (;;) {
    const inTime = () => deadline.getTime() - services.clock().getTime() > CLOSING_MS;
    if (!inTime()) {
      notices.tally.outOfTime = true;
      return false;
    }
    const { last, n }: { last: string | null; n: number } = await askOne(
      services.database,
      windowOf(policies[0]!, behind, WINDOW),
      READING,
    );
    if (last === null) return true;
    const parts = await partsIn(services, horizons, behind);
    if (!(await tellThem(services, policies[0]!, parts, notices, inTime))) return false;
    if (n < WINDOW) return true;
    behind = last;
  }
}

/** What each organization of the window is to hear, in one request. */
async function partsIn(
  { database }: Services,
  horizons: readonly (readonly Horizon[])[],
  behind: string | null,
): Promise<Map<string, Part[]>> {
  const queries = horizons.flatMap((of) =>
    of.map((at, i) => partsOf(at, of[i - 1] ?? null, { behind, tenants: WINDOW })),
  );
  const parts = new Map<string, Part[]>();
  if (queries.length === 0) return parts;
  for (const part of (await askEach(database, queries, READING)).flat()) {
    parts.set(part.tenant, [...(parts.get(part.tenant) ?? []), part]);
  }
  return parts;
}

async function tellThem(
  { database }: Services,
  policy: Policy,
  parts: ReadonlyMap<string, readonly Part[]>,
  notices: Notices,
  inTime: () => boolean,
): Promise<boolean> {
  if (parts.size === 0) return true;
  const recipients = await askOne(database, recipientsOf(policy, [...parts.keys()]), READING);
  for (const [tenant, theirs] of parts) {
    if (!inTime()) {
      notices.tally.outOfTime = true;
      return false;
    }
    const recipient = recipients.find((r) => r.tenant === tenant) ?? null;
    if (!(await notices.tell(tenant, theirs, recipient))) return false;
  }
  return true;
}

const CAUSE = 'notices.undelivered:lapse';

/** Someone is told: what is required and not delivered keeps rows that should go. */
async function report(services: Services, t: Tally): Promise<void> {
  const message = `${t.undelivered} required notices were not delivered${t.down === null ? '' : ` (the mail server is down: ${t.down})`}, ${t.unaddressed} organizations have no usable address: their rows stay until they are told`;
  const isWrong = t.down !== null || t.undelivered > 0 || t.unaddressed > 0;
  await reportIncidents(
    services,
    isWrong ? { wrong: [{ cause: CAUSE, severity: 'warning', message }] } : { over: [CAUSE] },
  );
}

function ending({ clock }: Services, { dryRun }: JobRequest, t: Tally): NoticesResult {
  const told = dryRun
    ? `dry run: ${t.due} organizations would be told`
    : `${t.delivered} organizations were told`;
  const rest = [
    t.undelivered > 0 && `${t.undelivered} required messages were not delivered`,
    t.unaddressed > 0 && `${t.unaddressed} have no usable address`,
    t.unsure > 0 && `${t.unsure} were perhaps told`,
  ].filter((x) => x !== false);
  const message = [told, ...rest].join('; ');
  const ended = { message, notices: t };
  if (t.down !== null)
    return {
      outcome: 'errored',
      reason: 'smtp',
      ...ended,
      message: `the mail server is down (${t.down}): ${message}`,
    };
  if (t.outOfTime) return { outcome: 'interrupted', reason: 'time', ...ended };
  // What a horizon reaches changes at midnight; what was not delivered is tried again before.
  const midnight = new Date((Math.floor(clock().getTime() / DAY_MS) + 1) * DAY_MS);
  return { outcome: 'succeeded', reason: null, ...ended, nextLook: t.failed > 0 ? clock() : midnight };
}
