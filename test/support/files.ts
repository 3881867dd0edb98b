/**
 * A Lapse with a store of its own, whose network a test can break, and a table `pictures(id, at, org, person,
 * file, bytes)` with its policy. The clock is the test's: it moves only when the test, or a waiting drain, says.
 */

import type { RunResult } from '@/lib/engine/run/result';
import { type RunRequest, runPolicy } from '@/lib/engine/run/run';
import { type DrainRequest, type DrainResult, drainOutbox } from '@/lib/files/drain';
import { days, definePolicy, type Policy, type PolicyInput } from '@/lib/policies/contract';
import type { Services } from '@/lib/services';
import { type PrivateCloud, privateCloud } from './cloud';
import { DAY, type Engine, engine, protect, runRequest } from './engine';

export interface Files extends Engine {
  readonly cloud: PrivateCloud;
  readonly policy: Policy;
  readonly services: Services;
  now(): Date;
  pass(seconds: number): void;
  /** Rows of these ages in days, each naming its file; null names none. Gives their ids in that order. */
  rows(
    all: readonly { age: number; file: string | null; bytes?: number; org?: string; person?: string }[],
  ): Promise<string[]>;
  /** Files of ten bytes, uploaded an hour ago. */
  upload(...paths: string[]): Promise<void>;
  /** What the store holds, in order. */
  stored(prefix?: string): string[];
  drain(changes?: Partial<DrainRequest>): Promise<DrainResult>;
  runNow(policy?: Policy, changes?: Partial<RunRequest>): Promise<RunResult>;
  entries(): Promise<Record<string, number>>;
}

export const picturesPolicy = (changes: Partial<PolicyInput> = {}): Policy =>
  definePolicy({
    name: 'pictures',
    description: 'pictures of the tests',
    justification: 'because a test wants it so',
    ground: 'test',
    schedule: { run: '0 2 * * *' },
    table: { name: 'pictures' },
    key: [{ column: 'id', type: 'uuid' }],
    clock: { column: 'at', type: 'timestamptz' },
    rules: [{ label: 'all', keepFor: days(30) }],
    scope: { organization: 'org', user: 'person' },
    files: [{ column: 'file', bytes: 'bytes', fate: 'delete', prefix: 'pictures/', suffixed: true }],
    ...changes,
  });

export async function files(
  options: { policy?: Partial<PolicyInput>; env?: Record<string, string> } = {},
): Promise<Files> {
  let at = new Date();
  const clock = () => at;
  const cloud = await privateCloud();
  const base = await engine({
    env: { BLOB_READ_WRITE_TOKEN: cloud.env('none').BLOB_READ_WRITE_TOKEN!, ...options.env },
  });
  // biome-ignore lint/correctness/useHookAtTopLevel: no hook of React's, only a name that looks like one
  cloud.useBlob();
  const policy = picturesPolicy(options.policy);
  // The example's map is about tables of its own.
  const services: Services = { ...base.services, clock, policies: [policy], dataMap: [] };
  await base.db.sql(`create table pictures (
    id uuid primary key default gen_random_uuid(), at timestamptz, org uuid, person uuid, file text, bytes bigint, deleted_at timestamptz
  )`);
  await base.db.sql('create index on pictures (at, id)');
  await base.db.sql('create index on pictures (deleted_at, id)');
  await base.db.sql('create index on pictures (retention.blob_path(file))');
  await base.db.sql('create index on pictures (org)');
  await base.db.sql(
    'grant select, update, delete on pictures to lapse_app; grant select, update on pictures to lapse_operator',
  );
  await base.db.sql(`select retention.protect('public.pictures')`);
  // The database writes what is due by its own clock: on a slow machine ours must not have stayed behind it.
  const pass = (seconds: number) => {
    at = new Date(Math.max(at.getTime(), Date.now()) + seconds * 1000);
  };
  return {
    ...base,
    cloud,
    policy,
    services,
    now: clock,
    pass,
    rows: async (all) => {
      const ids = await base.db.sql<{ id: string }>(
        `insert into pictures (at, file, bytes, org, person)
         select $1::timestamptz - make_interval(secs => (r->>'age')::float8 * ${DAY}), r->>'file', (r->>'bytes')::bigint,
           (r->>'org')::uuid, (r->>'person')::uuid
         from jsonb_array_elements($2::jsonb) with ordinality x(r, n) order by n returning id::text`,
        [at.toISOString(), JSON.stringify(all.map((r) => ({ bytes: 10, ...r })))],
      );
      return ids.map((r) => r.id);
    },
    upload: async (...paths) => {
      const uploadedAt = new Date(at.getTime() - 3_600_000);
      await cloud.blob.putMany(paths.map((pathname) => ({ pathname, content: '0123456789', uploadedAt })));
    },
    stored: (prefix) => [...cloud.blob.all(prefix)].map((b) => b.pathname),
    drain: (changes) =>
      drainOutbox(services, {
        correlationId: 'test',
        deadline: new Date(at.getTime() + 240_000),
        dryRun: false,
        wait: async (ms) => pass(ms / 1000),
        ...changes,
      }),
    runNow: async (p = policy, changes) => {
      await protect(base.db, p);
      return runPolicy(services, p, runRequest(at, changes));
    },
    entries: async () => {
      const rows = await base.db.sql<{ state: string; n: number }>(
        'select state, count(*)::int as n from retention.outbox group by 1',
      );
      return Object.fromEntries(rows.map((r) => [r.state, r.n]));
    },
    stop: async () => {
      await base.stop();
      await cloud.stop();
    },
  };
}

/** The store's own kind of name: never written again. */
export const suffixed = (n: number, folder = 'pictures'): string =>
  `${folder}/p-${String(n).padStart(30, 'x')}.png`;
