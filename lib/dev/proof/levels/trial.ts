/**
 * One case: a tree, a batch that is stopped before one of its statements, and one act of another session at one level. Then what is
 * there, in receipts and in the outbox is held against what may be there whoever was first; and runs until nothing goes any more,
 * against the judgment of what the act left.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { RunResult } from '../../../engine/run/result';
import { runPolicy } from '../../../engine/run/run';
import { unlike } from '../shapes/compare';
import { NOW } from '../shapes/times';
import type { Place } from '../shapes/world';
import { type Act, actOf, type Kind } from './disturbances';
import { OPEN, pausing, SHUT, WAITS } from './pause';
import { baseOf, type Form, type Level, policyOf, rowAt, rowsOf } from './tables';

/** Rows a batch begins with: all at once; fewer documents than were picked; each document taken apart from below. */
const SIZES = { whole: 100, cut: 2, apart: 1 } as const;
export type Size = keyof typeof SIZES;

export interface Case {
  readonly number: number;
  readonly form: Form;
  readonly size: Size;
  readonly kind: Kind;
  readonly level: Level;
  readonly batch: number;
  /** Before which statement of it; its first is 0. */
  readonly statement: number;
}

export interface Outcome {
  readonly problems: readonly string[];
  /** Whether the batch came that was to be stopped, and whether the act could be done. */
  readonly reached: boolean;
  readonly done: boolean;
  /** The act had to wait for the batch, or the other way round. */
  readonly waited: boolean;
  /** Of a batch. */
  readonly statements: number;
}

const MOST_RUNS = 6;
const POLL_MS = 2;

type Ids = ReadonlySet<string>;

/** What became of the act. */
interface Acted {
  readonly rows: readonly string[];
  readonly changed: number;
  readonly error: string | null;
}

export class Trial {
  readonly #runs: RunResult[] = [];
  #statements = 0;
  #reached = false;
  #waited = false;
  /** What had to go once the act was done; null where that was after the batch. */
  #mayGo: Ids | null = null;
  #acted: Acted = { rows: [], changed: 0, error: null };
  /** When the batch that was stopped was sent, and when it and the act had ended. */
  #atStop: Ids = new Set();
  #after: Ids = new Set();
  #mustGo: Ids = new Set();

  constructor(
    private readonly place: Place,
    private readonly sessions: { readonly gate: Client; readonly other: Client },
    private readonly it: Case,
  ) {}

  async run(): Promise<Outcome> {
    const { owner } = this.place;
    await this.#clear();
    await owner.query(rowsOf(this.it.form, baseOf(this.it.number)));
    const before = await this.#present();
    const closure = await this.#closureOfFirst();
    const act = actOf(this.it.form, this.it.kind, this.it.level, this.it.number);
    if (!act) throw new Error('there is no such act');
    if (act.before) await owner.query(act.before);
    await this.#run(act);
    if (!this.#reached) this.#after = await this.#present();
    const mustGo = this.#reached ? this.#mustGo : await this.#judged();
    const atOnce = this.#problemsAtOnce(act, before, closure);
    for (let more = true; more && this.#runs.length < MOST_RUNS; ) {
      const run = await this.#run(null);
      more = run.deleted + run.dependantsDeleted > 0;
    }
    const problems = [...atOnce, ...(await this.#problemsAtEnd(act, before, mustGo))];
    return {
      problems: problems.map((p) => `${this.#named}: ${p}`),
      reached: this.#reached,
      done: this.#acted.changed > 0,
      waited: this.#waited,
      statements: this.#statements,
    };
  }

  get #named(): string {
    const { number, form, size, kind, level, batch, statement } = this.it;
    return `${number} (${form}, ${size}, another session ${kind} at ${level}, batch ${batch}, statement ${statement})`;
  }

  async #clear(): Promise<void> {
    await this.place.owner.query(`truncate pin, mark, page, version, note, doc; delete from retention.hold;
      delete from retention.extension; delete from retention.dead_letter`);
  }

  async #run(act: Act | null): Promise<RunResult> {
    const policy = policyOf(this.it.form);
    const services = this.place.services(policy);
    const database = act === null ? services.database : this.#stopping(services.database, act);
    const run = await runPolicy({ ...services, database }, policy, {
      trigger: 'cron',
      actor: 'cron',
      correlationId: randomUUID(),
      deadline: new Date(NOW.getTime() + 240_000),
      dryRun: false,
      batchSize: SIZES[this.it.size],
    });
    this.#runs.push(run);
    return run;
  }

  #stopping(database: Parameters<typeof pausing>[0], act: Act) {
    return pausing(database, {
      batch: this.it.batch,
      statement: this.it.statement,
      counted: (statements) => {
        this.#statements = Math.max(this.#statements, statements);
      },
      sent: () => {
        this.#reached = true;
        let ended = false;
        const acting = this.#meanwhile(act, () => ended);
        return {
          over: async () => {
            ended = true;
            const { acted, close } = await acting;
            await close();
            this.#acted = await acted;
            this.#after = await this.#present();
            this.#mustGo = await this.#judged();
          },
        };
      },
    });
  }

  /** Waits for the batch to stand still, begins the act, and lets the batch go on when that is done or waits itself. */
  async #meanwhile(act: Act, hasEnded: () => boolean) {
    const { gate, other } = this.sessions;
    const { owner } = this.place;
    await gate.query('select 1');
    while (!hasEnded() && !(await isTrue(owner, WAITS))) await sleep(POLL_MS);
    this.#atStop = await this.#present();
    let isDone = false;
    const acted = this.#act(other, act).finally(() => {
      isDone = true;
    });
    const pid = Number((await this.#pidOf(other)) ?? 0);
    const blocked = `select cardinality(pg_blocking_pids(${pid})) > 0 as yes`;
    while (!isDone && !(await isTrue(owner, blocked))) await sleep(POLL_MS);
    this.#waited = !isDone;
    if (isDone && !hasEnded()) this.#mayGo = await this.#judged();
    await gate.query(OPEN);
    const close = async () => {
      if (act.stays) await acted.then(() => other.query('rollback'));
      await gate.query(SHUT);
    };
    return { acted, close };
  }

  async #pidOf(client: Client): Promise<number | null> {
    return (client as unknown as { processID: number | null }).processID;
  }

  async #act(other: Client, act: Act): Promise<Acted> {
    const rows: string[] = [];
    let changed = 0;
    try {
      await other.query('begin');
      for (const statement of act.statements) {
        const answer = await other.query<{ t: string; id: string }>(statement);
        changed += answer.rowCount ?? 0;
        if (act.does !== 'changes') rows.push(...answer.rows.map((r) => `${r.t} ${r.id}`));
      }
      if (!act.stays) await other.query('commit');
      return { rows, changed, error: null };
    } catch (error) {
      await other.query('rollback');
      return { rows: [], changed: 0, error: error instanceof Error ? error.message : String(error) };
    }
  }

  #present = (): Promise<Ids> => ids(this.place.owner, 'select t, id from oracle.present');
  #judged = (): Promise<Ids> => ids(this.place.owner, 'select t, id from oracle.goes');
  #closureOfFirst = (): Promise<Ids> =>
    ids(
      this.place.owner,
      `select t, id from oracle.down where root = ${rowAt(baseOf(this.it.number), 'doc', 'old')}`,
    );

  #problemsAtOnce(act: Act, before: Ids, closure: Ids): string[] {
    const { kind, size } = this.it;
    const problems: string[] = [];
    const others = new Set(this.#acted.rows);
    const wentInBatch = [...this.#atStop].filter((id) => !this.#after.has(id) && !others.has(id));
    if (this.#mayGo) {
      const gone = wentInBatch.filter((id) => !this.#mayGo!.has(id));
      if (gone.length > 0)
        problems.push(`it was done before the batch had ended, which took: ${gone.join(', ')}`);
    }
    // A row that became young was there to become it.
    if (kind === 'makes young' && this.#acted.changed > 0 && ![...closure].some((id) => this.#after.has(id)))
      problems.push('it was made young, and is gone');
    if (size !== 'apart' && act.does !== 'deletes' && !kind.startsWith('moves') && kind !== 'hangs') {
      const there = [...closure].filter((id) => this.#after.has(id)).length;
      if (there > 0 && there < closure.size && !this.#isFolders())
        problems.push(`half of a tree that fits into a batch: ${there} of ${closure.size} rows are there`);
    }
    const young = `doc ${rowAt(baseOf(this.it.number), 'doc', 'young')}`;
    if (before.has(young) && !this.#after.has(young) && !others.has(young))
      problems.push('the young one is gone');
    return problems;
  }

  /** A folder goes without the one that it lies in. */
  #isFolders = (): boolean => this.it.form === 'folders';

  async #problemsAtEnd(act: Act, before: Ids, mustGo: Ids): Promise<string[]> {
    const { owner } = this.place;
    const end = await this.#present();
    const ever = new Set([...before, ...(act.does === 'inserts' ? this.#acted.rows : [])]);
    const deleted = new Set(act.does === 'deletes' ? this.#acted.rows : []);
    const gone = [...ever].filter((id) => !end.has(id) && !deleted.has(id));
    const wanted = [...this.#after].filter((id) => !mustGo.has(id));
    const runs = this.#runs.map((r) => `'${r.runId}'::uuid`).join(', ');
    const named = await list(
      owner,
      `select r.table_name as t, k as id from retention.receipt r, unnest(retention.keys_of(r)) k where r.run in (${runs})
       union all select d.key, k from retention.receipt r, jsonb_each(r.dependants) d, jsonb_array_elements_text(d.value) k where r.run in (${runs})`,
    );
    const files = await list(
      owner,
      `select o.table_name as t, o.row_key as id from retention.outbox o where o.run in (${runs})`,
    );
    const withFiles = gone.filter((id) => !(id.startsWith('doc ') && Number(id.slice(4)) % 10 > 3));
    const orphans = await list(owner, 'select t, id from oracle.orphans');
    const letters = await list(owner, 'select table_name as t, row_key as id from retention.dead_letter');
    return [
      ...unlike('there at the end', wanted, [...end]),
      ...unlike('in receipts', gone, named),
      ...unlike('in the outbox', withFiles, files),
      ...orphans.map((id) => `${id} refers to nothing`),
      ...letters.map((id) => `${id} is a dead letter, and nothing is wrong with it`),
      ...this.#unlikeRuns(gone.length),
      ...(await this.#unlikeKept()),
    ];
  }

  #unlikeRuns(gone: number): string[] {
    const said = this.#runs.reduce((n, r) => n + r.deleted + r.dependantsDeleted, 0);
    const failed = this.#runs.filter(
      (r, i) => r.outcome === 'errored' || r.outcome === 'skipped' || (i > 0 && r.outcome !== 'succeeded'),
    );
    return [
      ...(said === gone ? [] : [`the runs say ${said} rows went, ${gone} did`]),
      ...failed.map((r) => `a run ended ${r.outcome}, ${r.reason}: ${r.message}`),
    ];
  }

  /** The last run, which nobody disturbed, says why each old document stays, and by whose rows. */
  async #unlikeKept(): Promise<string[]> {
    const { kept, keptBelow, picked } = this.#runs.at(-1)!;
    const said = Object.entries(kept).flatMap(([why, n]) => {
      const by = Object.entries(keptBelow[why as keyof typeof kept] ?? {});
      const itself = n - by.reduce((sum, [, m]) => sum + m, 0);
      return [
        ...Array<string>(itself).fill(why),
        ...by.flatMap(([table, m]) => Array<string>(m).fill(`${why} by ${table}`)),
      ];
    });
    const { rows } = await this.place.owner.query<{ why: string }>('select why from oracle.stays');
    const sum = Object.values(kept).reduce((n, m) => n + m, 0);
    return [
      ...unlike(
        'said to be kept so',
        rows.map((r) => r.why),
        said,
      ),
      ...(sum === picked ? [] : [`of ${picked} rows looked at, ${sum} are said to stay`]),
    ];
  }
}

const isTrue = async (client: Client, text: string): Promise<boolean> =>
  (await client.query<{ yes: boolean }>(text)).rows[0]?.yes === true;

const list = async (client: Client, text: string): Promise<string[]> =>
  (await client.query<{ t: string; id: string }>(text)).rows.map(
    (r) => `${r.t.replace('public.', '')} ${r.id}`,
  );

const ids = async (client: Client, text: string): Promise<Ids> => new Set(await list(client, text));
