/**
 * Lapse over a table of many partitions, step by step, each with its requests, seconds and the most locks of a transaction: what
 * it deletes is what plain SQL says, and no step needs more locks than a server has as it comes.
 */
import { randomUUID } from 'node:crypto';
import type { RunResult } from '../../../engine/run/result';
import { runPolicy } from '../../../engine/run/run';
import { catalogFacts, judgeFacts } from '../../../engine/statement/preflight';
import { askOne } from '../../../platform/session';
import { definePolicy, type Policy } from '../../../policies/contract';
import type { Services } from '../../../services';
import { watchBacklog } from '../../../watch/backlog/watch-backlog';
import { lookForDrift } from '../../../watch/drift/look';
import { reading } from '../../adopt/read-only';
import { survey } from '../../adopt/survey';
import type { Place } from '../shapes/world';
import { countingLocks } from './locking';
import { type ManyTable, make, NOW } from './tables';

export interface Step {
  readonly what: string;
  readonly seconds: number;
  readonly requests: number;
  readonly mostLocks: number;
  readonly says: string;
}

export interface Proved {
  readonly steps: readonly Step[];
  /** What is not as it should be. */
  readonly problems: readonly string[];
}

/** Some partitions a statement, for the same reason. */
const AT_A_TIME = 200;

async function dueIn({ owner }: Place, { name, due }: ManyTable): Promise<number> {
  const { rows } = await owner.query<{ leaf: string }>(
    `with recursive p(relid) as (select $1::regclass::oid union all select i.inhrelid from p join pg_inherits i on i.inhparent = p.relid)
     select c.oid::regclass::text as leaf from p join pg_class c on c.oid = p.relid where c.relkind = 'r'`,
    [name],
  );
  let found = 0;
  for (let at = 0; at < rows.length; at += AT_A_TIME) {
    const some = rows.slice(at, at + AT_A_TIME).map((r) => `select 1 from ${r.leaf} where ${due}`);
    found += (await owner.query(`select from (${some.join(' union all ')}) x`)).rowCount ?? 0;
  }
  return found;
}

/** Of the six thousand that a server has as it comes, with ten runs at a time. */
const MOST_LOCKS = 500;

export async function proveMany(
  place: Place,
  table: ManyTable,
  say: (step: Step) => void = () => undefined,
): Promise<Proved> {
  const policy = definePolicy(table.policy);
  const counting = countingLocks(place.services(policy).database);
  const services = { ...place.services(policy), database: counting.database };
  const steps: Step[] = [];
  const problems: string[] = [];
  const step = async (what: string, does: () => Promise<string>): Promise<void> => {
    const began = performance.now();
    counting.take();
    const says = await does().catch((error: Error) => {
      problems.push(`${what}: ${error.message}`);
      return 'failed';
    });
    const done = { what, says, seconds: (performance.now() - began) / 1000, ...counting.take() };
    steps.push(done);
    say(done);
  };
  const should = (is: boolean, problem: string) => void (is || problems.push(problem));
  const due = () => dueIn(place, table);

  await step('make the table', async () => {
    await make(place.owner, table);
    return '';
  });
  await step('open the partitions', async () => `${await open(place, table)} calls`);
  const expected = await due();
  await step('preflight', async () => {
    const found = judgeFacts(policy, await askOne(services.database, catalogFacts(policy), LIMITS), []);
    should(found.length === 0, `refused: ${found[0]?.problem}`);
    return `${found.length} problems`;
  });
  await step('survey of npm run adopt', () => surveyed(place, table, should));
  await step('data map and drift', async () => {
    const found = await lookForDrift(services.database, { dataMap: [], policies: [policy] });
    should(!found.some((f) => f.kind === 'unread' || f.kind === 'policy'), `drift: ${found[0]?.problem}`);
    return `${found.length} findings`;
  });
  await step('backlog', async () => {
    const { backlog, unmeasured } = await watchBacklog(services, request());
    should(
      unmeasured.length === 0 && backlog[0]?.waiting === expected,
      `backlog: ${backlog[0]?.waiting} of ${expected}`,
    );
    return `${backlog[0]?.waiting} rows wait`;
  });
  await step('dry run', async () => {
    const dry = await run(services, policy, true);
    should(dry.outcome === 'succeeded' && dry.preview?.expired === expected, `dry run: ${dry.message}`);
    return `${dry.preview?.expired} rows, ${dry.preview?.partitions.length} whole partitions`;
  });
  await step('run', async () => {
    const done = await toItsEnd(services, policy);
    should(done.deleted === expected, `deleted ${done.deleted} of ${expected}: ${done.message}`);
    return `${done.deleted} rows in ${done.batches} batches, ${done.runs} runs`;
  });
  should((await due()) === 0, 'rows are left');
  await step('run with nothing to do', async () => {
    const idle = await run(services, policy, false);
    should(idle.outcome === 'succeeded' && idle.deleted === 0, `idle run: ${idle.message}`);
    return idle.message;
  });
  problems.push(
    ...steps.filter((s) => s.mostLocks > MOST_LOCKS).map((s) => `${s.what}: ${s.mostLocks} locks at once`),
  );
  return { steps, problems };
}

const LIMITS = { statementMs: 60_000, readOnly: true };

const request = () => ({
  trigger: 'cron' as const,
  actor: 'cron',
  dryRun: true,
  correlationId: randomUUID(),
  deadline: new Date(NOW.getTime() + 240_000),
});

async function open({ owner }: Place, { name }: ManyTable): Promise<number> {
  for (let calls = 1; ; calls += 1) {
    const { rows } = await owner.query(`select retention.open_partitions('${name}') as left`);
    if (Number(rows[0].left) === 0) return calls;
  }
}

async function surveyed(
  { ownerUrl }: Place,
  { name }: ManyTable,
  should: (is: boolean, problem: string) => void,
): Promise<string> {
  const found = await reading(ownerUrl, (reader) => survey(reader, { schemas: ['public'] }));
  const sample = found.tables.find((t) => `public.${t.facts.name}` === name)?.sample;
  const looked = typeof sample === 'object' ? sample?.looked : undefined;
  should((looked ?? 0) > 0, `survey: ${typeof sample === 'string' ? sample : 'no row was looked at'}`);
  return `${looked} rows looked at`;
}

const run = (services: Services, policy: Policy, dryRun: boolean): Promise<RunResult> =>
  runPolicy(services, policy, {
    trigger: 'cron',
    actor: 'cron',
    correlationId: randomUUID(),
    // The clock stands: nothing is out of time.
    deadline: new Date(NOW.getTime() + 700_000),
    dryRun,
  });

/** Of four minutes each. */
const MOST_RUNS = 50;

async function toItsEnd(services: Services, policy: Policy) {
  let [deleted, batches] = [0, 0];
  for (let runs = 1; ; runs += 1) {
    const result = await run(services, policy, false);
    deleted += result.deleted;
    batches += result.batches;
    if (result.reason !== 'time' || runs === MOST_RUNS)
      return { deleted, batches, runs, message: result.message };
  }
}
