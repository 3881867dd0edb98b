/**
 * An idle database: a month of the shipped vercel.json with nothing expired, no order in review and no file waiting; beside it
 * a day on which each call asks, as if nothing were known. Then a month of one daily policy, without the example.
 */
import { randomUUID } from 'node:crypto';
import Table from 'cli-table3';
import { quizResponses } from '../../example/policies/quiz-responses';
import { permanentTables, policies } from '../../policies';
import { crons, type Declared } from '../../policies/crons';
import { orderReview } from '../../policies/order-review';
import { createServices } from '../../services';
import { aDay, type Called, type Figures, monthly, PRICES, play } from './idle';
import { say, under } from './progress';
import type { Copy, Stage } from './scenes/scene';

const MONTH = 30;
const DAY_MS = 86_400_000;
const SECRET = randomUUID();

const SHIPPED: Declared = { policies, orderReview };
const ONE_POLICY: Declared = { policies: [quizResponses], orderReview: undefined };

export async function idleMonth(stage: Stage) {
  const before = await playOn(stage, SHIPPED, 1, false);
  const after = await playOn(stage, SHIPPED, MONTH, true);
  const onePolicy = await playOn(stage, ONE_POLICY, MONTH, true);
  print({ 'each call asks': before, 'as shipped': after, 'one daily policy, no example': onePolicy });
  return { before, after, onePolicy, prices: PRICES };
}

/** Days that end yesterday, so that no clock of the server is earlier than the play's. */
async function playOn(stage: Stage, declared: Declared, days: number, isKnown: boolean): Promise<Figures> {
  const copy = await stage.fresh();
  // What the door and the Blob client read from the environment alone.
  Object.assign(process.env, { CRON_SECRET: SECRET, VERCEL_BLOB_API_URL: copy.env.VERCEL_BLOB_API_URL });
  await empty(copy);
  const from = new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS - days * DAY_MS);
  const base = createServices({
    ...copy.env,
    CRON_SECRET: SECRET,
    VERCEL_ENV: 'production',
    LOG_LEVEL: 'silent',
    LAPSE_NAMESPACE: `bench-${randomUUID()}`,
    // Nothing else is on this server, and nothing is expired: there is no company to make room for.
    CLEANUP_PERCENT_WHILE_OTHERS_WRITE: '100',
    ...(isKnown ? {} : { LAPSE_SAFETY_LOOK_HOURS: '0' }),
  });
  const calls = await play({
    services: (clock) => ({ ...base, ...declared, clock }),
    crons: crons(declared, 'pro'),
    from,
    days,
    after: ({ at }) => under(`${at.toISOString().slice(0, 10)} of ${days} days`),
  });
  refuseTrouble(calls);
  return aDay(calls, days);
}

/** A month in which something failed says nothing about an idle one. */
function refuseTrouble(calls: readonly Called[]): void {
  const failed = calls.find((c) => c.status !== 200);
  if (failed)
    throw new Error(
      `${failed.path} answered ${failed.status} (${failed.reason}) at ${failed.at.toISOString()}`,
    );
}

/** What the example governs; the tables it never deletes from stay. */
async function empty({ owner }: Copy): Promise<void> {
  const kept = new Set(permanentTables.map((t) => t.table.name));
  const { rows } = await owner.query<{ name: string }>(
    `select c.relname as name from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`,
  );
  const names = rows.map((r) => r.name).filter((name) => !kept.has(name));
  await owner.query(`truncate ${names.map((n) => `"${n}"`).join(', ')} cascade`);
}

function print(all: Readonly<Record<string, Figures>>): void {
  const table = new Table({
    head: [
      'a day',
      'invocations',
      'PostgreSQL requests',
      'wake-ups',
      'minutes awake',
      'Redis commands',
      'Neon $/month',
      'Upstash',
      'Vercel',
      'all',
    ],
    colAligns: ['left', ...Array.from({ length: 9 }, () => 'right' as const)],
    style: { head: [], border: [] },
  });
  for (const [name, day] of Object.entries(all)) {
    const { neon, upstash, vercel, all: sum } = monthly(day);
    const counts = [day.invocations, day.postgresRequests, day.wakeUps, day.minutesAwake, day.redisCommands];
    table.push([
      name,
      ...counts.map((n) => n.toFixed(n < 10 ? 1 : 0)),
      ...[neon, upstash, vercel, sum].map((n) => n.toFixed(2)),
    ]);
  }
  say(table.toString());
  say(
    `list prices read on 2026-11-22: Neon ${PRICES.neonComputeUnitHour} $/CU-hour at ${PRICES.neonComputeUnits} CU, suspended after 5 minutes (neon.com/faqs/managed-postgres-services-pay-active-compute); Upstash ${PRICES.upstash100kCommands} $/100,000 commands, those of scripts counted (upstash.com/pricing, 500,000 a month free); Vercel ${PRICES.vercelMillionInvocations} $/million invocations (vercel.com/docs/functions/usage-and-pricing)`,
  );
}
