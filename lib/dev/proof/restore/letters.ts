/** The business of the rehearsal: letters of persons, thirty days; and one Lapse over it, in front of whichever server. */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { Pool } from 'pg';
import type { RunResult } from '../../../engine/run/result';
import { type RunRequest, runPolicy } from '../../../engine/run/run';
import { days, definePolicy, type Policy } from '../../../policies/contract';
import { createServices, type Services } from '../../../services';
import { startLocalCloud } from '../../local-cloud';
import type { Server } from './backup';

export const DATABASE = 'business';

const policyOf = (keepDays: number): Policy =>
  definePolicy({
    name: 'letters',
    description: `Letters, ${keepDays} days after they were written.`,
    justification: 'It is what the rehearsal needs.',
    ground: 'none: no letter is real',
    schedule: { run: '0 2 * * *' },
    table: { name: 'letters' },
    key: [{ column: 'id', type: 'uuid' }],
    clock: { column: 'written_at', type: 'timestamptz' },
    rules: [{ label: 'all', keepFor: days(keepDays) }],
    scope: { user: 'person' },
  });

export const SCHEMA = `create table letters (id uuid primary key default gen_random_uuid(), person text not null,
    written_at timestamptz not null, words text not null);
  create index letters_written_at on letters (written_at, id);
  create index letters_person on letters (person);
  grant select, delete, update (id) on letters to lapse_app;
  select retention.protect('public.letters');`;

/** `n` letters written between so many days ago, of fifty persons. */
export const writeLetters = (n: number, newest: number, oldest: number): string =>
  `insert into letters (person, written_at, words) select 'p' || i % 50,
    now() - make_interval(days => ${newest}) - (${oldest - newest} * interval '1 day') * i / ${n}, repeat('w', 40) from generate_series(1, ${n}) i`;

export interface Lapse {
  readonly services: Services;
  sql<R = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<R[]>;
  run(keepDays: number, request?: Partial<RunRequest>): Promise<RunResult>;
  stop(): Promise<void>;
}

const signingKey = generateKeyPairSync('ed25519')
  .privateKey.export({ format: 'der', type: 'pkcs8' })
  .toString('base64');

/** Redis lives in `folder`: a Lapse over the restored server finds the leases and cursors of the lost one. */
export async function lapseOver(server: Server, folder: string): Promise<Lapse> {
  const cloud = await startLocalCloud({
    folder,
    postgresUrl: server.url('postgres'),
    handleSignals: false,
    contents: 'memory',
  });
  const services: Services = {
    ...createServices({
      ...cloud.env(DATABASE),
      CRON_SECRET: 'a-secret-of-the-proof',
      VERCEL_ENV: 'production',
      LOG_LEVEL: 'silent',
      LAPSE_NAMESPACE: 'restore-proof',
      LAPSE_AUDIT_SIGNING_KEY: signingKey,
      // The mistake that makes a restoration needed is one that these would have stopped.
      LAPSE_MASS_DELETION_GUARD: 'off',
      LAPSE_PROGRESSIVE_ROLLOUT: 'off',
      LAPSE_COOLING_OFF_DAYS: '0',
      CLEANUP_PERCENT_WHILE_OTHERS_WRITE: '100',
    }),
    policies: [policyOf(30)],
  };
  const pool = new Pool({ connectionString: server.url(DATABASE), max: 2 });
  pool.on('error', () => {});
  return {
    services,
    sql: async <R>(text: string, params: readonly unknown[] = []) =>
      (await pool.query(text, [...params])).rows as R[],
    run: (keepDays, request) =>
      runPolicy(services, policyOf(keepDays), {
        trigger: 'cron',
        actor: 'cron',
        correlationId: randomUUID(),
        deadline: new Date(Date.now() + 240_000),
        dryRun: false,
        ...request,
      }),
    stop: async () => {
      await pool.end();
      await cloud.stop();
    },
  };
}
