/** `npm run proof:shapes`, small: random schemas go exactly, and what is not exact is noticed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unlikeDryRun } from '@/lib/dev/proof/shapes/compare';
import { generate } from '@/lib/dev/proof/shapes/generate';
import { KINDS, kindsOf } from '@/lib/dev/proof/shapes/kinds';
import { inWords, prove } from '@/lib/dev/proof/shapes/proof';
import { follow, statementsIn } from '@/lib/dev/proof/shapes/remedies';
import { type Shape, tableOf } from '@/lib/dev/proof/shapes/shape';
import { attempt, type Meddling } from '@/lib/dev/proof/shapes/trial';
import { type World, world } from '@/lib/dev/proof/shapes/world';
import { written } from '@/lib/dev/proof/shapes/written';
import { noneKept } from '@/lib/platform/outcome';
import { type PrivateCloud, privateCloud } from '../support/cloud';
import { testRoot } from '../support/folder';

const SEED = 2;

let cloud: PrivateCloud;
let here: World;
beforeAll(async () => {
  cloud = await privateCloud();
  here = await world(cloud);
});
afterAll(async () => {
  await here?.end();
  await cloud?.stop();
});

it('each of a few random schemas goes exactly, or is refused with a remedy that works', {
  timeout: 120_000,
}, async () => {
  const said: string[] = [];
  const proof = await prove(here, {
    seed: SEED,
    numbers: Array.from({ length: 24 }, (_, i) => i),
    lanes: 2,
    folder: `${testRoot()}/shapes`,
    keepAll: false,
    say: (line) => said.push(line),
  });
  expect(said).toEqual([]);
  expect(proof.trials.filter((t) => t.verdict === 'exact').length).toBeGreaterThan(5);
  expect(proof.trials.filter((t) => t.verdict === 'refused').length).toBeGreaterThan(3);
  expect(proof.trials.reduce((sum, t) => sum + t.gone, 0)).toBeGreaterThan(40);
  expect(proof.trials.reduce((sum, t) => sum + t.back, 0)).toBeGreaterThan(0);
  expect(proof.trials.reduce((sum, t) => sum + t.drained.files, 0)).toBeGreaterThan(0);
  expect(inWords(proof).at(-1)).toMatch(/^24 schemas: \d+ exact, \d+ refused, 0 wrong$/);
});

it('the same seed and number make the same schema, others make others', () => {
  const texts = [generate(SEED, 5), generate(SEED, 5), generate(SEED, 6), generate(SEED + 1, 5)].map(
    (shape) => JSON.stringify([written(shape), shape.policy]),
  );
  expect(texts[0]).toBe(texts[1]);
  expect(new Set(texts).size).toBe(3);
});

it('each kind of shape that is counted comes up in at least one of twenty schemas', () => {
  const shapes = Array.from({ length: 800 }, (_, number) => kindsOf(generate(SEED, number)));
  const rare = KINDS.filter((kind) => shapes.filter((of) => of.includes(kind)).length < 40);
  expect(rare).toEqual([]);
});

describe('what is not exact is wrong:', () => {
  /** A schema without mistakes from which governed rows go, and others stay, and nobody else writes. */
  async function calm(wants: (shape: Shape) => boolean = () => true, kind?: 'archive'): Promise<Shape> {
    for (let number = 0; number < 400; number += 1) {
      const shape = generate(SEED, number);
      const isCalm = !shape.disturbed && shape.never === null && shape.mistakes.length === 0;
      // Rows leave.
      const { strategy } = shape.policy;
      if (!isCalm || strategy?.kind !== kind || shape.tables[0]!.partitions || !wants(shape)) continue;
      const trial = await attempt(here, shape);
      if (trial.verdict === 'exact' && trial.gone > 3) return shape;
    }
    throw new Error('no such schema among the first 400');
  }

  async function noticed(shape: Shape, meddling: Meddling): Promise<string> {
    const trial = await attempt(here, shape, meddling);
    expect(trial.verdict).toBe('wrong');
    return trial.problems.join('\n');
  }

  const past = (statement: string) => ({
    afterRuns: async (owner: { query(text: string): Promise<unknown> }) => {
      await owner.query(`set session_replication_role = replica`);
      await owner.query(statement);
    },
  });

  it('a receipt that is missing', async () => {
    expect(await noticed(await calm(), past('delete from retention.receipt'))).toContain(
      'is not in receipts',
    );
  });

  it('a receipt that names a row twice', async () => {
    const again = `insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, keys, locked, deleted, picked)
      select run, seq + 1000, policy, policy_version, action, actor, reason, as_of, table_name, retention.keys_of(r), locked, deleted, picked
      from retention.receipt r limit 1`;
    expect(await noticed(await calm(), past(again))).toContain('is in receipts, 1 times too often');
  });

  it('a row too many that is gone', async () => {
    const shape = await calm();
    const t = tableOf(shape.tables[0]!);
    const one = past(`delete from ${t} where ctid = (select ctid from ${t} limit 1)`);
    expect(await noticed(shape, one)).toContain('is gone and must be there');
  });

  it('a row that is kept and had to go', async () => {
    const shape = await calm();
    const t = tableOf(shape.tables[0]!);
    const said = await noticed(shape, {
      beforeRuns: (owner) => owner.query(`create table retention.aside as select * from ${t}`),
      ...past(
        `insert into ${t} select * from (select * from retention.aside except all select * from ${t}) x limit 1`,
      ),
    });
    expect(said).toContain('is there and must be gone');
  });

  it('a value that was changed', async () => {
    const shape = await calm();
    const [number] = shape.tables[0]!.columns;
    const said = await noticed(
      shape,
      past(`update ${tableOf(shape.tables[0]!)} set "${number!.name}" = 4711`),
    );
    expect(said).toContain(`${number!.name} is 4711`);
  });

  it('a row that does not come back from its archive as it was', async () => {
    const shape = await calm(undefined, 'archive');
    const [governed] = shape.tables;
    const said = await noticed(shape, {
      beforeRuns: (owner) =>
        owner.query(`create function public.other() returns trigger language plpgsql as
            $$ begin new."${governed!.columns[0]!.name}" := 4711; return new; end $$;
          create trigger other before insert on ${tableOf(governed!)} for each row execute function public.other()`),
    });
    expect(said).toContain('is not back after the restore');
    expect(said).toContain('the table would not keep it as it was archived');
  });

  it('a file of which the drain makes something else', async () => {
    const shape = await calm((s) => s.tables[0]!.file !== null);
    const said = await noticed(shape, {
      beforeRuns: (owner) =>
        owner.query(`create function public.other() returns trigger language plpgsql as
            $$ begin if new.state <> 'deleting' then new.state := 'dead'; end if; return new; end $$;
          create trigger other before update on retention.outbox for each row execute function public.other()`),
    });
    expect(said).toContain('is dead after the drain and must be');
  });

  it('a file that nobody handed over', async () => {
    const shape = await calm((s) => s.tables[0]!.file !== null);
    expect(await noticed(shape, past('delete from retention.outbox'))).toContain('is not in the outbox');
  });

  it('a figure of the dry run', () => {
    const judgment = {
      first: new Map([['a 1', null] as const, ['a 2', 'held'] as const]),
      firstAlong: { b: 2 },
      firstDetached: { c: 1 },
    };
    const right = {
      complete: true,
      expired: 1,
      kept: { ...noneKept(), held: 1 },
      dependants: { b: 2 },
      detached: { c: 1 },
    };
    expect(unlikeDryRun(judgment, right)).toEqual([]);
    expect(unlikeDryRun(judgment, { ...right, expired: 2 })).toEqual(['dry run: 2 rows, not 1']);
    expect(unlikeDryRun(judgment, { ...right, kept: noneKept() })).toEqual(['dry run: kept held 0, not 1']);
    expect(unlikeDryRun(judgment, { ...right, dependants: {} })).toEqual([
      'dry run: 0 rows of b along, not 2',
    ]);
    expect(unlikeDryRun(judgment, { ...right, detached: { c: 2 } })).toEqual([
      'dry run: 2 references of c taken away, not 1',
    ]);
    expect(unlikeDryRun(judgment, { ...right, complete: false })).toEqual(['dry run: it is not complete']);
  });
});

describe('the reader of remedies', () => {
  it('takes each printed statement whole, whatever its names hold', () => {
    expect(
      statementsIn(
        `let them keep it: ALTER TABLE "a;b" DROP CONSTRAINT "it's", ADD CHECK ("x""y" > ';'); or DROP TABLE "c";`,
      ),
    ).toEqual([`ALTER TABLE "a;b" DROP CONSTRAINT "it's", ADD CHECK ("x""y" > ';')`, 'DROP TABLE "c"']);
    expect(statementsIn('correct it in the policy')).toEqual([]);
  });

  it('follows nothing that it does not understand', () => {
    const shape = generate(SEED, 1);
    expect(
      follow({ shape, policy: shape.policy, problem: 'it is odd', remedy: 'think about it' }),
    ).toBeNull();
  });
});
