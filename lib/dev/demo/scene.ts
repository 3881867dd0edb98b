/**
 * A business with a month behind it and a morning ahead: what the console is looked at with. The nights are played by the
 * real routes on a clock that is passed in, and what people did, by the real actions with their own tokens: nothing is
 * written into Lapse's own tables. Afterwards there is a run of each outcome, a guard stop to approve, a hold, a dead letter,
 * an order near its breach, erasures, an export, an archive and what came back from it, a table nobody decided about, and ids to ask about.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { runPolicy } from '../../engine/run/run';
import { seed } from '../../example/seed';
import { takeAction } from '../../operators/actions';
import { days, type Policy } from '../../policies/contract';
import { eraseSubject } from '../../rights/erase';
import { exportSubject } from '../../rights/export/export';
import { restoreArchived } from '../../rights/restore/restore';
import { createServices, type Services } from '../../services';
import { bindOperators } from '../operators';
import { playJobs, playNights } from './scene-nights';
import {
  BEFORE,
  CLOSING_ORGANIZATION,
  CURIOUS_USER,
  ERASED_USER,
  HELD_ORGANIZATION,
  HELD_USER,
  LARGE_ORGANIZATION,
  LAST_NIGHT,
  MORNING,
} from './scene-rows';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** A month for the charts, and before it the first nights, which take what had lain there for long. */
const NIGHTS = 33;
/** Nights before the last when the dispute began. */
const HELD_FOR = 12;
/** Rows of one archive that is looked at and restored from. */
const ARCHIVED = 40;
const ARCHIVE = { kind: 'archive', keepFor: days(365), files: 'move', rewriteAt: 0 } as const;
/** Small enough for a minute, large enough for every share and usual size to mean something. */
const ROWS = 12_000;
/** After every policy of the night. */
const NIGHT_IS_OVER_MS = 5 * HOUR_MS;

export interface SceneOptions {
  readonly ownerUrl: string;
  /** The settings of an app on this database: `LocalCloud.env`. */
  readonly env: Readonly<Record<string, string>>;
  readonly now: Date;
  readonly say?: (line: string) => void;
}

/** From the last night on. */
const GUARDED = { LAPSE_MASS_DELETION_GUARD: 'on' } as const;

/** Who works there, with their roles as LAPSE_OPERATORS names them; without one: everything. */
const PEOPLE = {
  alex: '',
  maria: '',
  otto: 'operator',
  anna: 'approver',
  vera: 'viewer',
  audra: 'auditor',
} as const;
export type Person = keyof typeof PEOPLE;
const NAMES = Object.keys(PEOPLE) as Person[];

export interface Scene {
  /** The settings of the app that shows it: with the hash of each token, and no token. */
  readonly env: Readonly<Record<string, string>>;
  /** In memory only. */
  readonly tokens: Readonly<Record<Person, string>>;
  /** Ids to ask about: of a row that went, one that a hold keeps, one that the guard stopped. */
  readonly ask: { readonly deleted: string; readonly held: string; readonly guarded: string };
}

/** The database is migrated and has no rows. */
export async function makeScene({ ownerUrl, env, now, say = () => undefined }: SceneOptions): Promise<Scene> {
  const tokens = Object.fromEntries(NAMES.map((name) => [name, token()])) as Record<Person, string>;
  const settings = settingsOf(env, tokens);
  await bindOperators(ownerUrl, createServices(settings).settings.operators);
  // What the door and the Blob client read from the environment alone.
  const before = { ...process.env };
  Object.assign(process.env, settings);
  const owner = new Client(ownerUrl);
  await owner.connect();
  owner.on('error', () => undefined);
  const stage: Stage = { owner, settings, tokens, now };
  try {
    await seed(ownerUrl, { rows: ROWS, asOf: now });
    await all(stage, BEFORE);
    const lastMidnight = Math.floor((now.getTime() - NIGHT_IS_OVER_MS) / DAY_MS) * DAY_MS;
    const night = (n: number) => new Date(lastMidnight - n * DAY_MS);
    say(`${NIGHTS} nights of an app in production`);
    await archiveOnce(stage, night(NIGHTS));
    await playNights(at(stage), night(NIGHTS - 1), NIGHTS - 1 - HELD_FOR, now);
    await dispute(stage);
    await playNights(at(stage), night(HELD_FOR), HELD_FOR, now);
    await playJobs(at(stage), night(0));
    say('last night: an import without dates, an index that is missing, a policy that is paused');
    await all(stage, LAST_NIGHT);
    await requests(stage);
    await restores(stage);
    await act(stage, 'maria', {
      action: 'policy.pause',
      policy: 'usage-events',
      reason: 'finance checks the invoices of May',
    });
    // Also what is past of the night that is not over.
    await playNights(at(stage, GUARDED), night(0), 2, now);
    await all(stage, MORNING);
    await morning(stage);
    await playJobs(at(stage, GUARDED), now);
    await stoppedAgain(stage);
    return { env: { ...settings, ...GUARDED }, tokens, ask: await idsToAsk(stage) };
  } finally {
    for (const key of Object.keys(settings)) delete process.env[key];
    Object.assign(process.env, before);
    await owner.end();
  }
}

interface Stage {
  readonly owner: Client;
  readonly settings: Readonly<Record<string, string>>;
  readonly tokens: Scene['tokens'];
  readonly now: Date;
}

const token = (): string => randomBytes(24).toString('hex');
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

function settingsOf(env: SceneOptions['env'], tokens: Scene['tokens']): Record<string, string> {
  return {
    ...env,
    VERCEL_ENV: 'production',
    CRON_SECRET: token(),
    LAPSE_OPERATORS: NAMES.map((name) =>
      [name, PEOPLE[name], sha256(tokens[name])].filter(Boolean).join(':'),
    ).join(','),
    LAPSE_SESSION_SECRET: token(),
    LAPSE_RIGHTS_KEY: randomBytes(32).toString('hex'),
    LAPSE_LINK_KEY: randomBytes(32).toString('hex'),
    LAPSE_URL: 'http://127.0.0.1',
    LAPSE_NAMESPACE: `scene-${randomBytes(4).toString('hex')}`,
    LOG_LEVEL: 'silent',
    // Its first runs take most of a table, as planned; what is new in the last night is for the guard.
    LAPSE_PROGRESSIVE_ROLLOUT: 'off',
    LAPSE_MASS_DELETION_GUARD: 'off',
    LAPSE_COOLING_OFF_DAYS: '0',
    // What is written beside the app is announced by no one.
    LAPSE_SAFETY_LOOK_HOURS: '0',
  };
}

/** Services whose clock is the play's. */
const at =
  ({ settings }: Stage, more: Record<string, string> = {}) =>
  (clock: () => Date): Services => ({ ...createServices({ ...settings, ...more }), clock });

const all = async ({ owner, now }: Stage, statements: readonly string[]): Promise<void> => {
  for (const text of statements) await owner.query(text, text.includes('$1') ? [now.toISOString()] : []);
};

function act({ settings, tokens }: Stage, operator: Person, body: Record<string, unknown>): Promise<unknown> {
  const services = createServices(settings);
  const { roles } = services.settings.operators.find((o) => o.name === operator)!;
  return takeAction({ services, operator, roles, token: tokens[operator] }, body);
}

/** A customer sues, another one has a contract of its own. */
async function dispute(stage: Stage): Promise<void> {
  const id = await idOf(stage, `select ${HELD_ORGANIZATION} as id`);
  await act(stage, 'maria', {
    action: 'hold.place',
    scope: 'organization',
    subject: id,
    reason: 'HOLD-12: dispute about an invoice',
  });
  const tenant = await idOf(stage, `select ${LARGE_ORGANIZATION} as id`);
  // A contract may promise less than the longest tier: for who may approve.
  await act(stage, 'maria', {
    action: 'override.set',
    policy: 'artifacts',
    tenant,
    keepDays: 400,
    reason: 'contract 88, paragraph 4',
  });
}

/** Before the first night some documents were archived before they went: what a customer can have back. */
async function archiveOnce(stage: Stage, then: Date): Promise<void> {
  const services = at(stage)(() => then);
  const pdfs = services.policies.find((p) => p.name === 'generated-pdfs')!;
  const archiving: Policy = { ...pdfs, strategy: ARCHIVE };
  await runPolicy({ ...services, policies: [archiving] }, archiving, {
    ...{ trigger: 'manual', actor: 'otto', correlationId: randomUUID(), dryRun: false, limit: ARCHIVED },
    deadline: new Date(then.getTime() + 5 * 60_000),
  });
}

/** Of what was archived: one row is back, an organization waits for a second operator. */
async function restores(stage: Stage): Promise<void> {
  const { services, call } = calls(stage);
  const order = { ...call('otto'), policy: 'generated-pdfs', keepDays: 30, dryRun: false };
  const key = await idOf(stage, `select keys[1] as id from retention.archive where state = 'kept' limit 1`);
  await restoreArchived(services, { ...order, scope: 'item', subject: key, reason: 'ticket 902' });
  const organization = await idOf(
    stage,
    `select subject as id from retention.archive_subject where scope = 'organization' order by rows desc, subject limit 1`,
  );
  await restoreArchived(services, {
    ...{ ...order, scope: 'organization', subject: organization, reason: 'ticket 917: closed by mistake' },
  });
}

/** Of people: one is done, one is delayed by the hold, one waits for a second operator; and a copy. */
async function requests(stage: Stage): Promise<void> {
  const { services, call } = calls(stage);
  const asked = async (scope: 'user' | 'organization', text: string, by: Person, reason: string) => {
    const subject = { scope, id: await idOf(stage, `select ${text} as id`) };
    return { ...call(by), subject, reason };
  };
  await eraseSubject(services, {
    ...(await asked('user', ERASED_USER, 'maria', 'request 4711')),
    dryRun: false,
  });
  await eraseSubject(services, {
    ...(await asked('user', HELD_USER, 'maria', 'request 4715')),
    dryRun: false,
  });
  await eraseSubject(services, {
    ...(await asked('organization', CLOSING_ORGANIZATION, 'otto', 'request 4712')),
    dryRun: false,
  });
  await exportSubject(services, await asked('user', CURIOUS_USER, 'maria', 'request 4713'));
}

/** What people did since the last night: two previews, and a run by hand up to a limit. */
async function morning(stage: Stage): Promise<void> {
  const { services, call } = calls(stage);
  const run = (name: string, more: { dryRun: boolean; limit?: number }) => {
    const { token: _, ...asked } = call('otto');
    return runPolicy(services, services.policies.find((p) => p.name === name)!, {
      ...asked,
      trigger: 'manual',
      ...more,
    });
  };
  await run('artifacts', { dryRun: true });
  await run('render-jobs', { dryRun: true });
  await run('quiz-responses', { dryRun: false, limit: 150 });
}

/** What the guard stopped in the night, it stops when it is tried again. */
async function stoppedAgain(stage: Stage): Promise<void> {
  const { services, call } = calls(stage);
  const { token: _, ...asked } = call('otto');
  const artifacts = services.policies.find((p) => p.name === 'artifacts')!;
  await runPolicy(services, artifacts, { ...asked, trigger: 'manual', dryRun: false });
}

function calls(stage: Stage) {
  const began = Date.now();
  const services = at(stage, GUARDED)(() => new Date(stage.now.getTime() + Date.now() - began));
  const call = (actor: Person) => ({
    actor,
    token: stage.tokens[actor],
    correlationId: randomUUID(),
    deadline: new Date(stage.now.getTime() + 5 * 60_000),
  });
  return { services, call };
}

async function idsToAsk(stage: Stage): Promise<Scene['ask']> {
  const expired = `completed_at < $1::timestamptz - interval '31 days'`;
  return {
    deleted: await idOf(stage, `select md5('quiz5003')::uuid as id`),
    held: await idOf(
      stage,
      `select id from quiz_responses where organization_id = ${HELD_ORGANIZATION} and ${expired} order by id limit 1`,
    ),
    guarded: await idOf(stage, `select md5('imported1')::uuid as id`),
  };
}

async function idOf({ owner, now }: Stage, text: string): Promise<string> {
  const { rows } = await owner.query<{ id: string }>(text, text.includes('$1') ? [now.toISOString()] : []);
  if (!rows[0]) throw new Error(`the scene has no row for: ${text}`);
  return rows[0].id;
}
