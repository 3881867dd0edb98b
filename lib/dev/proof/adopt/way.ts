/**
 * The way of somebody who has a database and a clone, by commands alone: adopt, apply, dry run, first deletion through
 * the built app, until nothing is left; and what SQL written before says of the outcome. It deletes rows.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Client } from 'pg';
import type { Policy } from '../../../policies/contract';
import { reading } from '../../adopt/read-only';
import { survey } from '../../adopt/survey';
import { verdicts } from '../../adopt/verdicts';
import { build, freePort, startApp } from '../../demo/app';
import { startOverDatabase } from '../../local-cloud/over-database';
import { drain, Operators } from './runs';
import { Steps } from './steps';
import { differences, otherChanges, remember, rowsOfAll, type Truth } from './truth';

export interface Chosen {
  readonly table: string;
  readonly keep: string;
}

interface PolicyProof {
  readonly policy: string;
  readonly rows: number;
  readonly mustGo: number;
  readonly dryRun: number;
  readonly deleted: number;
  readonly along: number;
  readonly runs: number;
  readonly approvals: number;
  readonly asked: string;
}

export interface Proof {
  readonly commands: number;
  /** Files changed by hand: none, the commands write them. */
  readonly edits: number;
  readonly secondsToFirstDeletion: number;
  readonly seconds: number;
  readonly policies: readonly PolicyProof[];
  readonly refused: readonly string[];
  /** What is not as it should be. Empty: exactly the right rows went. */
  readonly problems: readonly string[];
}

export interface Way {
  readonly database: string;
  /** A copy of the project; files are written there. */
  readonly folder: string;
  /** Empty: the proposals with the most old rows. */
  readonly chosen: readonly Chosen[];
  readonly say: (line: string) => void;
}

/** So many of the proposals, when none is named. */
const MOST_PROPOSALS = 3;
const KEEP = '30d';
const REASON = 'Older ones are never asked for; kept as long as support looks back.';
const GROUND = 'GDPR Art. 5(1)(e), storage limitation';

export async function goTheWay({ database, folder, chosen, say }: Way): Promise<Proof> {
  const steps = new Steps(folder, { MIGRATION_DATABASE_URL: database, DATABASE_URL: database }, say);
  if (existsSync(path.join(folder, 'lib/example'))) steps.npm('example:remove');
  steps.npm('migrate');
  steps.npm('adopt', '--list');
  const { proposals, refused } = await proposed(database);
  const tables = chosen.length > 0 ? chosen : proposals;
  if (tables.length === 0)
    throw new Error('nothing in this database proposes itself: name tables with --table and --keep');
  const flags = tables.flatMap((t) => ['--table', t.table, '--keep', t.keep]);
  steps.npm('adopt', '--reason', REASON, '--ground', GROUND, ...flags, '--yes', '--apply');
  steps.npm('policy:check');
  const owner = new Client({ connectionString: database });
  owner.on('error', () => undefined);
  await owner.connect();
  try {
    const before = await rowsOfAll(owner);
    const truths: Truth[] = [];
    // Just before its own runs: what another policy takes may have kept its rows.
    const ask = async (policy: Policy) => {
      const truth = await remember(owner, policy, new Date());
      truths.push(truth);
      return truth;
    };
    const ran = await runThem(database, steps, await written(folder), ask);
    const problems = ran.policies.flatMap((p) =>
      p.dryRun === p.mustGo ? [] : [`${p.policy}: the dry run said ${p.dryRun}, ${p.mustGo} had to go`],
    );
    for (const truth of truths) problems.push(...(await differences(owner, truth)));
    problems.push(...otherChanges(before, await rowsOfAll(owner), truths));
    return { ...ran, commands: steps.done.length, edits: 0, seconds: steps.seconds, refused, problems };
  } finally {
    await owner.end();
  }
}

async function proposed(url: string): Promise<{ proposals: Chosen[]; refused: string[] }> {
  return reading(url, async (reader) => {
    const seen = await survey(reader);
    const found = await verdicts(reader, seen, { policies: [], permanent: [] });
    const old = (v: (typeof found)[number]): number => {
      const { sample } = v.table;
      if (v.kind !== 'proposed' || typeof sample !== 'object' || sample === null) return 0;
      return sample.ages.get(v.draft.clock.column)?.day30 ?? 0;
    };
    const proposals = found
      .filter((v) => old(v) > 0)
      .sort((a, b) => old(b) - old(a))
      .slice(0, MOST_PROPOSALS)
      .map((v) => ({ table: v.table.label, keep: KEEP }));
    const refused = found.flatMap((v) =>
      v.kind === 'refused' ? [`${v.table.label}: ${v.problems[0]!.problem}`] : [],
    );
    return { proposals, refused };
  });
}

/** The policies as the copy declares them. */
async function written(folder: string): Promise<Policy[]> {
  const index = path.join(folder, 'lib/policies/index.ts');
  const { policies } = (await import(pathToFileURL(index).href)) as { policies: Policy[] };
  return [...policies];
}

async function runThem(
  database: string,
  steps: Steps,
  written: readonly Policy[],
  ask: (policy: Policy) => Promise<Truth>,
): Promise<Pick<Proof, 'policies' | 'secondsToFirstDeletion'>> {
  // The build and the app's own lock lie in the folder of the project.
  process.chdir(steps.folder);
  await steps.timed('npm run build', () => build(() => undefined));
  const operators = new Operators();
  const { cloud, env } = await steps.timed(`npm run local -- --database ${hidden(database)}`, () =>
    startOverDatabase({ database, migrate: false, say: () => undefined, handleSignals: false }),
  );
  try {
    const settings = {
      ...env,
      VERCEL_ENV: 'production',
      CRON_SECRET: 'a-secret-of-the-proof-only',
      LAPSE_OPERATORS: operators.list,
    };
    const port = await freePort();
    const app = await steps.timed('npm start', () => startApp(settings, port, () => undefined));
    let first: number | null = null;
    const started = Date.now();
    const before = steps.seconds;
    const policies: PolicyProof[] = [];
    try {
      for (const policy of written) {
        const { name } = policy;
        const truth = await ask(policy);
        const drained = await steps.timed(
          `curl …/api/cron/${name}?dryRun=1, then …/api/cron/${name} until drained`,
          () =>
            drain(app, operators, policy, (run) => {
              if (run.deleted > 0) first ??= before + (Date.now() - started) / 1000;
            }),
        );
        policies.push(inFigures(truth, drained));
      }
    } finally {
      await app.stop();
    }
    return { policies, secondsToFirstDeletion: first ?? steps.seconds };
  } finally {
    await cloud.stop();
  }
}

function inFigures(truth: Truth, { dry, runs, approvals }: Awaited<ReturnType<typeof drain>>): PolicyProof {
  const sum = (of: 'deleted' | 'dependantsDeleted') => runs.reduce((n, run) => n + run[of], 0);
  return {
    policy: truth.policy.name,
    rows: truth.total,
    mustGo: truth.mustGo,
    dryRun: dry.preview?.expired ?? -1,
    deleted: sum('deleted'),
    along: sum('dependantsDeleted'),
    runs: runs.length,
    approvals,
    asked: truth.asked,
  };
}

const hidden = (url: string): string => url.replace(/:[^:@/]*@/, ':…@');
