/**
 * One erasure of a random schema, from its first line to its certificate: asked for by an operator with a token, confirmed by a second
 * operator where it has to be, resumed until nothing changes any more, and held against the oracle. What is refused is done as
 * the refusal says, and asked again.
 */
import { createHash } from 'node:crypto';
import { runInNewContext } from 'node:vm';
import { resolvePolicies } from '../../../policies';
import { definePolicy } from '../../../policies/contract';
import { type DataMapInput, defineDataMap } from '../../../policies/data-map-contract';
import { confirmRequest, eraseSubject, resumeErasures } from '../../../rights/erase';
import type { ErasureCall, ErasureResult } from '../../../rights/result';
import type { Services } from '../../../services';
import type { LocalCloud } from '../../local-cloud';
import { bindOperators } from '../../operators';
import { copyOf } from '../shapes/copy';
import { MASK_KEY } from '../shapes/masks';
import { statementsIn } from '../shapes/remedies';
import { tableOf } from '../shapes/shape';
import { NOW } from '../shapes/times';
import { type Place, tried, type World } from '../shapes/world';
import { certificateProblems } from './certificate';
import { type Happened, unlikeTruth } from './compare';
import { Oracle } from './oracle';
import type { ErasureShape, Kind } from './shape';
import { written } from './written';

export interface Trial {
  readonly number: number;
  readonly kinds: readonly Kind[];
  /** `refused` also where it went as it had to once the refusal was followed. */
  readonly verdict: 'exact' | 'refused' | 'wrong';
  readonly refusals: readonly string[];
  readonly problems: readonly string[];
  readonly replay: readonly string[];
  readonly rows: number;
  readonly gone: number;
  readonly changed: number;
  readonly stuck: number;
  readonly files: number;
  readonly done: boolean;
  readonly leftBehind: boolean;
}

const TOKENS = { alice: 'alice-token-of-this-proof', bob: 'bob-token-of-this-proof-too' } as const;
type Operator = keyof typeof TOKENS;
const sha = (token: string) => createHash('sha256').update(token).digest('hex');

/** What the services of a world for erasures need beside those of any other. */
export const settingsOf = (signingKey: string): Record<string, string> => ({
  LAPSE_OPERATORS: Object.entries(TOKENS)
    .map(([name, token]) => `${name}:${sha(token)}`)
    .join(','),
  LAPSE_RIGHTS_KEY: '7b'.repeat(32),
  LAPSE_AUDIT_SIGNING_KEY: signingKey,
});

const MOST_ROUNDS = 8;
/** The store's answers are believed after hours, so the clock moves on between calls. */
const MOST_CALLS = 8;
const HOURS_MS = 2 * 3_600_000;

export interface Meddling {
  readonly afterErasure?: (place: Place) => Promise<unknown>;
}

export async function attempt(
  world: World,
  cloud: LocalCloud,
  shape: ErasureShape,
  meddling: Meddling = {},
): Promise<Trial> {
  const place = await world.place();
  return tried(place, new Attempt(shape, place, cloud, meddling));
}

class Attempt {
  #map: DataMapInput;
  #ahead = 0;
  readonly #replay: string[] = [];
  readonly #refusals: string[] = [];
  #figures = { rows: 0, gone: 0, changed: 0, stuck: 0, files: 0, done: false, leftBehind: false };

  constructor(
    private readonly shape: ErasureShape,
    private readonly place: Place,
    private readonly cloud: LocalCloud,
    private readonly meddling: Meddling,
  ) {
    this.#map = shape.map;
  }

  ended(problems: readonly string[]): Trial {
    const verdict = problems.length > 0 ? 'wrong' : this.#refusals.length > 0 ? 'refused' : 'exact';
    this.#say(`${verdict}\n${problems.join('\n')}`);
    const { number, kinds } = this.shape;
    const said = problems.slice(0, 12).map((p) => p.split('\n    at ')[0]!);
    return {
      number,
      kinds,
      verdict,
      refusals: this.#refusals,
      problems: said,
      replay: this.#replay,
      ...this.#figures,
    };
  }

  async run(): Promise<Trial> {
    const { shape, place } = this;
    this.#say(`schema ${shape.number} of seed ${shape.seed}: ${shape.scope} ${shape.subject}`);
    for (const statement of written(shape)) await this.#do(statement);
    await bindOperators(place.ownerUrl, this.#services().settings.operators);
    await this.cloud.blob.putMany(
      shape.files.map((pathname) => ({
        pathname,
        content: 'x',
        uploadedAt: new Date(Date.now() - 3_600_000),
      })),
    );
    this.#say(`policies: ${JSON.stringify(shape.policies)}`);
    const dry = await this.#decided();
    if (typeof dry === 'string') return this.ended([dry]);
    const before = await copyOf(place.owner, null, NOW);
    const {
      map,
      shape: { policies, scope, subject },
    } = { map: this.#map, shape };
    const asked = { copy: before, map, policies, scope, subject };
    const oracle = new Oracle(asked);
    const truth = oracle.judge();
    if (truth.undecided.length > 0)
      return this.ended([`not refused, although undecided: ${truth.undecided.join(', ')}`]);
    const result = await this.#erase();
    if (typeof result === 'string') return this.ended([result]);
    await this.meddling.afterErasure?.(place);
    const after = await copyOf(place.owner, null, NOW);
    const stored = [...this.cloud.blob.all('')].map((b) => b.pathname);
    const happened: Happened = { before, after, dry, result, stored, files: shape.files, owner: place.owner };
    this.#figures = {
      rows: before.rows.size,
      gone: truth.gone.size,
      changed: truth.changed.length,
      stuck: truth.stuck.length,
      files: shape.files.filter((f) => !stored.includes(f)).length,
      done: result.outcome === 'succeeded',
      leftBehind: result.reason === 'left_behind',
    };
    const problems = await unlikeTruth({ oracle, truth, asked }, happened);
    if (result.outcome === 'succeeded' && problems.length === 0)
      problems.push(...(await certificateProblems(this.#services(), result.id!, truth)));
    return this.ended(problems);
  }

  /** The dry run that nothing stands in the way of any more. */
  async #decided(): Promise<ErasureResult | string> {
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      this.#say(`map: ${JSON.stringify(this.#map, null, 1)}`);
      const body = await this.#ask(true);
      if (body.problems.length === 0) return body;
      for (const p of body.problems) this.#say(`refused: ${p.problem}\n  remedy: ${p.remedy}`);
      const unable = await this.#follow(body.problems);
      if (unable !== null) return unable;
    }
    return `still refused after ${MOST_ROUNDS} rounds of following what it says`;
  }

  async #follow(problems: ErasureResult['problems']): Promise<string | null> {
    for (const { problem, remedy } of problems) {
      this.#refusals.push(
        remedy.startsWith('write in') ? 'the map has not decided a reference' : kindOf(problem),
      );
      const line = lineIn(remedy);
      const statements = statementsIn(remedy);
      if (line) this.#map = { ...this.#map, ...line };
      for (const statement of statements) await this.#do(statement);
      if (!line && statements.length === 0) return `no remedy to follow: ${problem} (${remedy})`;
      // Another problem's line was printed for the table as it stood before.
      if (line) return null;
    }
    return null;
  }

  /** Until nothing changes any more; what a call is refused for is done as it says. */
  async #erase(): Promise<ErasureResult | string> {
    let result = await this.#ask(false);
    if (result.outcome === 'waiting') {
      this.#say(result.message);
      const confirming = { ...this.#call('bob'), id: result.id!, reason: 'checked' };
      result = await confirmRequest(this.#services(), confirming);
    }
    for (let call = 0; call < MOST_CALLS && result.outcome !== 'succeeded'; call += 1) {
      this.#say(`${result.outcome} (${result.reason}): ${result.message}`);
      const statements =
        result.reason === 'preflight' ? statementsIn(result.message) : await this.#grants(result.message);
      for (const statement of statements) {
        this.#refusals.push('the database is not fit');
        await this.#do(statement);
      }
      const before = JSON.stringify(result.policies);
      this.#ahead += HOURS_MS;
      const resumed = await resumeErasures(this.#services(), { ...this.#call('cron'), dryRun: false });
      const next = resumed.erasures[0];
      if (!next) return `the cron does not resume it: ${resumed.message}`;
      const isSame = JSON.stringify(next.policies) === before && next.reason === result.reason;
      result = next;
      if (isSame && call > 1) break;
    }
    this.#say(`${result.outcome} (${result.reason}): ${result.message}\n${JSON.stringify(result.policies)}`);
    return result;
  }

  /** What the check could not read, with the right that its message asks for: a name may hold whatever a message does. */
  async #grants(message: string): Promise<string[]> {
    if (!message.includes('which the role may not read (grant select on it, and usage on its schema'))
      return [];
    const { rows } = await this.place.owner.query<{ schema: string; name: string }>(
      `select distinct n.nspname as schema, c.relname as name from retention.erasure e, jsonb_array_elements_text(e.checked -> 'unread') u(label)
       join pg_class c on true join pg_namespace n on n.oid = c.relnamespace and n.nspname || '.' || c.relname = u.label`,
    );
    return rows.map((t) => `grant select on ${tableOf(t)} to lapse_app`);
  }

  /** As an operator with the own token, which the database asks for; the cron has none. */
  #call(who: Operator | 'cron'): ErasureCall {
    const deadline = new Date(this.#services().clock().getTime() + 280_000);
    const token = who === 'cron' ? {} : { token: TOKENS[who] };
    return { actor: who, ...token, correlationId: 'proof', deadline };
  }

  #ask(dryRun: boolean): Promise<ErasureResult> {
    const { scope, subject } = this.shape;
    const asked = { subject: { scope, id: subject }, reason: 'a proof', dryRun };
    return eraseSubject(this.#services(), { ...this.#call('alice'), ...asked });
  }

  #services(): Services {
    const policies = resolvePolicies({ LAPSE_MASK_KEY: MASK_KEY }, this.shape.policies.map(definePolicy));
    const dataMap = defineDataMap(this.#map);
    return {
      ...this.place.services(...policies),
      policies,
      dataMap,
      clock: () => new Date(Date.now() + this.#ahead),
    };
  }

  async #do(statement: string): Promise<void> {
    this.#replay.push(`${statement};`);
    await this.place.owner.query(statement);
  }

  #say(text: string): void {
    this.#replay.push(text.replace(/^/gm, '-- '));
  }
}

const LINE = /^write in lib\/policies\/data-map\.ts (.*?),(?: or, where such rows are someone else’s, .*)?$/s;

/** The first line of the map that a remedy prints. */
function lineIn(remedy: string): DataMapInput | null {
  const text = LINE.exec(remedy)?.[1];
  return text === undefined
    ? null
    : (JSON.parse(String(runInNewContext(`JSON.stringify({${text}})`))) as DataMapInput);
}

const kindOf = (problem: string): string => problem.replace(/"[^"]*"|'[^']*'|\S*\.\S*/g, '…').slice(0, 60);
