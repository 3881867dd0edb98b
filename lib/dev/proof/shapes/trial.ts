/**
 * One schema from its first line to its last row. Refused: what the refusal says is done, and again, until it is not. Then
 * a dry run, and runs until nothing goes any more, held against the oracle.
 */
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import type { RunResult } from '../../../engine/run/result';
import { runPolicy } from '../../../engine/run/run';
import { resolvePolicies } from '../../../policies';
import { definePolicy, type Policy, type PolicyInput } from '../../../policies/contract';
import { unlikeDryRun, unlikeOracle } from './compare';
import { type Copy, copyOf } from './copy';
import { drained } from './drained';
import { evidenceOf } from './evidence';
import { type Kind, kindsOf } from './kinds';
import { MASK_KEY } from './masks';
import { Oracle } from './oracle';
import { type Followed, follow, isForGood, kindOf, type Refusal } from './remedies';
import { restored } from './restored';
import { labelOf, type Shape } from './shape';
import { OLD_LETTER } from './surroundings';
import { NOW } from './times';
import { type Place, tried, type World } from './world';
import { disturb, unlikeInvariants } from './writer';
import { written } from './written';

export interface Trial {
  readonly number: number;
  readonly kinds: readonly Kind[];
  /** `refused` also where it went as it had to once the refusal was followed. */
  readonly verdict: 'exact' | 'refused' | 'wrong';
  readonly forGood: boolean;
  /** Kinds of what it was refused for. */
  readonly refusals: readonly string[];
  readonly problems: readonly string[];
  /** All that was done, as SQL with remarks. */
  readonly replay: readonly string[];
  readonly rows: number;
  readonly gone: number;
  /** Runs that reached neither Redis nor the database and were asked again. */
  readonly lost: number;
  /** Rows that were brought back from archives. */
  readonly back: number;
  /** Files in the outbox that was drained, and those of them that a row has kept. */
  readonly drained: { readonly files: number; readonly kept: number };
}

/** Each round may bring up what the one before hid. */
const MOST_ROUNDS = 8;
/** Rows that wait for others go in a later run. */
const MOST_RUNS = 14;
/** Sentences of one trial that are shown. */
const MOST_PROBLEMS = 12;

/** What a test does to a database so that the judgment has something to notice. */
export interface Meddling {
  readonly beforeRuns?: (owner: Client) => Promise<unknown>;
  readonly afterRuns?: (owner: Client) => Promise<unknown>;
}

export async function attempt(world: World, shape: Shape, meddling: Meddling = {}): Promise<Trial> {
  const place = await world.place();
  return tried(place, new Attempt(shape, place, meddling));
}

class Attempt {
  #input: PolicyInput;
  readonly #replay: string[] = [];
  readonly #refusals: string[] = [];
  #forGood = false;
  #rows = 0;
  #gone = 0;
  #lost = 0;
  #back = 0;
  #drained = { files: 0, kept: 0 };

  constructor(
    private readonly shape: Shape,
    private readonly place: Place,
    private readonly meddling: Meddling,
  ) {
    this.#input = shape.policy;
  }

  async run(): Promise<Trial> {
    const { owner } = this.place;
    this.#say(`schema ${this.shape.number} of seed ${this.shape.seed}`);
    if (this.shape.mistakes.length > 0) this.#say(`mistakes: ${this.shape.mistakes.join(', ')}`);
    for (const statement of written(this.shape)) await this.#do(owner, statement);
    const before = await copyOf(owner, null, NOW);
    this.#rows = before.rows.size;
    const dry = await this.#fit(before);
    if (typeof dry === 'string') return this.ended([dry]);
    if (this.#forGood || dry === null) return this.ended([]);
    return this.ended(await this.#prove(policyOf(this.#input), dry));
  }

  ended(problems: readonly string[]): Trial {
    const verdict = problems.length > 0 ? 'wrong' : this.#refusals.length > 0 ? 'refused' : 'exact';
    this.#say(`${verdict}\n${problems.join('\n')}`);
    return {
      number: this.shape.number,
      kinds: kindsOf(this.shape),
      verdict,
      forGood: this.#forGood,
      refusals: this.#refusals,
      problems: problems.slice(0, MOST_PROBLEMS).map((p) => p.split('\n    at ')[0]!),
      replay: this.#replay,
      rows: this.#rows,
      gone: this.#gone,
      lost: this.#lost,
      back: this.#back,
      drained: this.#drained,
    };
  }

  /** The dry run that nothing stands in the way of any more; null: refused for good; a sentence: what is wrong with that. */
  async #fit(before: Copy): Promise<RunResult | string | null> {
    const { owner } = this.place;
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const policy = policyOf(this.#input);
      this.#say(`policy: ${JSON.stringify(this.#input, null, 1)}`);
      const dry = await this.#execute(policy, { dryRun: true });
      const blockers = dry.preview?.blockers ?? [];
      if (blockers.length === 0)
        return dry.outcome === 'succeeded' ? dry : `the dry run ended ${dry.outcome}: ${dry.message}`;
      if (round === 0) {
        const real = await this.#execute(policy, {});
        if (real.outcome !== 'errored' || real.reason !== 'preflight' || real.deleted > 0)
          return `refused in the dry run, but the run was ${real.outcome} (${real.reason})`;
        const now = await copyOf(owner, null, NOW);
        if (now.rows.size !== before.rows.size) return 'refused, and yet rows are gone';
      }
      this.#refusals.push(...new Set(blockers.map(kindOf)));
      for (const b of blockers) this.#say(`refused: ${b.problem}\n  remedy: ${b.remedy}`);
      if (blockers.some((b) => isForGood(this.shape, b))) {
        this.#forGood = true;
        return null;
      }
      const unable = await this.#follow(blockers);
      if (unable !== null) return unable;
    }
    return `still refused after ${MOST_ROUNDS} rounds of following what it says`;
  }

  async #follow(blockers: readonly Refusal[]): Promise<string | null> {
    let followed = 0;
    const unread: string[] = [];
    const declared = this.#input;
    const { shape } = this;
    for (const b of blockers) {
      // Places in the policy are those it had when it was refused.
      const next = follow({ ...b, policy: this.#input, shape });
      if (next === null) {
        unread.push(`no remedy to follow: ${b.problem} (${b.remedy})`);
        continue;
      }
      // A line that was printed for what another remedy of this round has changed is printed anew in the next.
      if (followed > 0 && !isValid(next.policy)) continue;
      followed += 1;
      this.#input = next.policy;
      const failed = await this.#carryOut(next);
      if (failed !== null) return failed;
    }
    const isSame = declared === this.#input;
    if (followed === 0) return unread.join('\n');
    if (isSame) this.#say('only statements were run');
    return null;
  }

  async #carryOut({ statements, otherwise }: Followed): Promise<string | null> {
    for (const statement of statements) {
      const failed = await this.#owns(statement).catch((e: Error) => e.message);
      if (failed && otherwise && /contains null values/.test(failed)) {
        this.#input = otherwise.policy;
        return this.#carryOut({ policy: otherwise.policy, statements: [otherwise.statement] });
      }
      // Two remedies may ask for the same.
      if (failed && !/already exists|does not exist/.test(failed))
        return `what the remedy prints fails: ${statement}: ${failed}`;
    }
    return null;
  }

  async #prove(policy: Policy, dry: RunResult): Promise<string[]> {
    const { owner } = this.place;
    const before = await copyOf(owner, policy, NOW);
    const oracle = new Oracle({ copy: before, policy, at: NOW, keepers: keepersOf(this.shape) });
    const judgment = oracle.judge();
    const unlikeDry = unlikeDryRun(judgment, dry.preview);
    await this.meddling.beforeRuns?.(owner);
    const writer = this.shape.disturbed ? await disturb(this.place, this.shape, policy, before) : null;
    const runs: RunResult[] = [];
    for (;;) {
      const run = await this.#execute(
        policy,
        this.shape.batchSize ? { batchSize: this.shape.batchSize } : {},
      );
      runs.push(run);
      this.#say(
        `run: ${run.outcome} ${run.reason ?? ''}: ${run.deleted} and ${run.dependantsDeleted} along; ${run.message}`,
      );
      if (run.outcome === 'errored' || run.outcome === 'skipped')
        return [...unlikeDry, `refused while it ran: ${run.outcome}, ${run.reason}: ${run.message}`];
      if (run.deleted === 0 && !writer?.isWriting()) break;
      if (runs.length === MOST_RUNS) return [`still deleting after ${MOST_RUNS} runs`];
      await this.#do(
        owner,
        `update retention.dead_letter set next_attempt_at = '2026-01-01Z' where sql_state <> '${OLD_LETTER}'`,
      );
    }
    const wrote = await writer?.stop();
    await this.meddling.afterRuns?.(owner);
    const after = await copyOf(owner, policy, NOW);
    const evidence = await evidenceOf(owner);
    this.#gone = evidence.named.length;
    if (wrote)
      return [...unlikeDry, ...unlikeInvariants({ before, after, evidence, wrote, judgment, policy })];
    const first = runs[0]!;
    const inOne = dry.preview!.expired === first.deleted || !judgment.isPlain;
    const problems = [
      ...unlikeDry,
      ...(inOne ? [] : [`the dry run says ${dry.preview!.expired} rows, the run deleted ${first.deleted}`]),
      ...unlikeOracle({ oracle, judgment, policy }, { before, after, evidence, runs }),
    ];
    if (problems.length > 0 || this.#gone === 0) return problems;
    // A policy that archives has emptied the same tables that it can fill again.
    return policy.strategy.kind === 'archive'
      ? this.#bringBack(policy, before, after)
      : this.#drain(policy, after, evidence.files.length);
  }

  async #drain(policy: Policy, after: Copy, files: number): Promise<string[]> {
    if (files === 0) return [];
    const { problems, ...drain } = await drained(this.place, policy, after);
    this.#drained = drain;
    return problems;
  }

  async #bringBack(policy: Policy, before: Copy, after: Copy): Promise<string[]> {
    const carryOut = (statement: string) => this.#do(this.place.owner, statement);
    const { rows, problems } = await restored({ place: this.place, policy, before, after, carryOut });
    this.#back = rows;
    const again = await this.#execute(policy, {});
    if (again.deleted > 0)
      problems.push(`the next run takes ${again.deleted} of the rows that were restored`);
    return problems;
  }

  /** Asked again where it did not get as far as a decision, as the schedule would: the machine may be busy with much else. */
  async #execute(policy: Policy, request: { dryRun?: boolean; batchSize?: number }): Promise<RunResult> {
    for (let left = 3; ; left -= 1) {
      const run = await this.#once(policy, request);
      if (left === 0 || !isOutOfReach(run)) return run;
      this.#say(`out of reach: ${run.message}`);
      this.#lost += 1;
    }
  }

  #once(policy: Policy, request: { dryRun?: boolean; batchSize?: number }): Promise<RunResult> {
    return runPolicy(this.place.services(policy), policy, {
      trigger: 'cron',
      actor: 'cron',
      correlationId: randomUUID(),
      deadline: new Date(NOW.getTime() + 240_000),
      dryRun: false,
      ...request,
    });
  }

  /** A printed statement; one that answers with statements, and those. */
  async #owns(statement: string): Promise<void> {
    const { owner } = this.place;
    if (!statement.startsWith('SELECT retention.index_statements(')) return this.#do(owner, statement);
    const { rows } = await owner.query<string[]>({ text: statement, rowMode: 'array' });
    for (const [one] of rows) await this.#do(owner, one!.replace(/;$/, ''));
  }

  async #do(owner: Client, statement: string): Promise<void> {
    this.#replay.push(`${statement};`);
    await owner.query(statement);
  }

  #say(text: string): void {
    this.#replay.push(
      text
        .split('\n')
        .map((line) => `-- ${line}`)
        .join('\n'),
    );
  }
}

/** Redis or the database gave no answer, and nothing went. */
const isOutOfReach = ({ outcome, reason, deleted, dependantsDeleted }: RunResult): boolean =>
  outcome === 'errored' &&
  (reason === 'redis' || reason === 'database.unknown') &&
  deleted + dependantsDeleted === 0;

/** With the key of this proof, where columns are hashed. */
function isValid(input: PolicyInput): boolean {
  try {
    policyOf(input);
    return true;
  } catch {
    return false;
  }
}

const policyOf = (input: PolicyInput): Policy =>
  resolvePolicies({ LAPSE_MASK_KEY: MASK_KEY }, [definePolicy(input)])[0]!;

const keepersOf = (shape: Shape): Map<string, string> =>
  new Map(
    shape.tables.flatMap((t) =>
      t.trigger?.kind === 'keeps' ? [[`${labelOf(t)} ${t.trigger.name}`, t.columns[0]!.name] as const] : [],
    ),
  );
