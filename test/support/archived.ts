/**
 * A Lapse with a store of its own whose policy `pictures` archives before it deletes, with what goes along: table
 * `notes(id, picture, person, words, file)`.
 */
import type { RunResult } from '@/lib/engine/run/result';
import { type RunRequest, runPolicy } from '@/lib/engine/run/run';
import type { ArchiveStore } from '@/lib/files/archive/store';
import { drainOutbox } from '@/lib/files/drain';
import type { Database } from '@/lib/platform/database';
import { days, type PolicyInput } from '@/lib/policies/contract';
import { defineDataMap } from '@/lib/policies/data-map-contract';
import { protect, runRequest } from './engine';
import { type Files, files, picturesPolicy } from './files';

const NOTES: NonNullable<PolicyInput['dependants']>[number] = {
  table: { name: 'notes' },
  key: [{ column: 'id', type: 'bigint' }],
  references: ['picture'],
  fate: 'delete',
  scope: { user: 'person' },
  files: [{ column: 'file', fate: 'delete', prefix: 'notes/', suffixed: true }],
};

const archivingPolicy = (changes: Partial<PolicyInput> = {}) =>
  picturesPolicy({
    strategy: { kind: 'archive', keepFor: days(365) },
    dependants: [NOTES],
    ...changes,
  });

export interface Archived extends Files {
  readonly store: ArchiveStore;
  /** Every row of both tables as the database prints it, in order. */
  all(): Promise<{ pictures: string[]; notes: string[] }>;
  /** A run in which this is done once, behind the rows of a batch were read and before any of them is deleted. */
  runWith(change: string, changes?: Partial<RunRequest>): Promise<RunResult>;
  archives(): Promise<{ state: string; prefix: string; rows: number; dependants: number; files: number }[]>;
}

export async function archivedFiles(
  options: { policy?: Partial<PolicyInput>; env?: Record<string, string> } = {},
): Promise<Archived> {
  const policy = archivingPolicy(options.policy);
  const e = await files(options.env ? { env: options.env } : {});
  await e.db.sql(`create table notes (id bigint generated always as identity primary key,
    picture uuid not null references pictures on delete cascade, person uuid, words text, file text)`);
  await e.db.sql('create index on notes (picture); create index on notes (retention.blob_path(file))');
  await e.db.sql('create index on notes (person); grant select, update, delete on notes to lapse_app');
  await e.db.sql(`select retention.protect('public.notes')`);
  const dataMap = defineDataMap({
    'public.notes': { kept: 'goes with its picture', confidential: { delete: ['person'] } },
  });
  const services = { ...e.services, policies: [policy], dataMap };
  const lines = async (table: string) =>
    (await e.db.sql<{ line: string }>(`select t::text as line from ${table} t order by t.id::text`)).map(
      (r) => r.line,
    );
  return {
    ...e,
    policy,
    services,
    store: { blob: services.blob!, backoff: services.backoff },
    runNow: async (p = policy, changes) => {
      await protect(e.db, p);
      return runPolicy(services, p, runRequest(e.now(), changes));
    },
    runWith: async (change, changes) => {
      await protect(e.db, policy);
      let done = false;
      const database: Database = {
        async transaction(statements, options) {
          if (!done && statements.some((x) => x.text.includes('retention.name_archive'))) {
            done = true;
            await e.db.sql(change);
          }
          return services.database.transaction(statements, options);
        },
      };
      return runPolicy({ ...services, database }, policy, runRequest(e.now(), changes));
    },
    drain: (changes) =>
      drainOutbox(services, {
        correlationId: 'test',
        deadline: new Date(e.now().getTime() + 240_000),
        dryRun: false,
        wait: async (ms) => e.pass(ms / 1000),
        ...changes,
      }),
    all: async () => ({ pictures: await lines('pictures'), notes: await lines('notes') }),
    archives: () =>
      e.db.sql(
        'select state, prefix, rows::int, dependants::int, files::int from retention.archive order by created_at, seq',
      ),
  };
}
