/** Every mutant there is, by area. */
import { existsSync } from 'node:fs';
import { adoptMutants } from './list/adopt';
import { approvalMutants } from './list/approvals';
import { archiveMutants } from './list/archive';
import { auditMutants } from './list/audit';
import { batchMutants } from './list/batch';
import { clockMutants } from './list/clocks';
import { consoleMutants } from './list/console';
import { controlMutants } from './list/control';
import { docsMutants } from './list/docs';
import { driftMutants } from './list/drift';
import { enterMutants } from './list/enter';
import { erasureMutants } from './list/erasure';
import { fateMutants } from './list/fates';
import { fileMutants } from './list/files';
import { idleMutants } from './list/idle';
import { laneMutants } from './list/lanes';
import { ledgerMutants } from './list/ledger';
import { linkMutants } from './list/links';
import { maskMutants } from './list/mask';
import { netMutants } from './list/net';
import { noticeMutants } from './list/notices';
import { orderMutants } from './list/orders';
import { outboxMutants } from './list/outbox';
import { partitionMutants } from './list/partitions';
import { peopleMutants } from './list/people';
import { periodMutants } from './list/periods';
import { planMutants } from './list/plan';
import { preflightMutants } from './list/preflight';
import { rangeMutants } from './list/range';
import { recordMutants } from './list/records';
import { roleMutants } from './list/roles';
import { runnerMutants } from './list/runner';
import { subjectMutants } from './list/subjects';
import { treeMutants } from './list/tree';
import { walkMutants } from './list/walk';
import { watchMutants } from './list/watch';
import type { Mutant } from './mutant';

const all: readonly Mutant[] = [
  ...adoptMutants,
  ...approvalMutants,
  ...archiveMutants,
  ...batchMutants,
  ...rangeMutants,
  ...auditMutants,
  ...clockMutants,
  ...consoleMutants,
  ...controlMutants,
  ...docsMutants,
  ...driftMutants,
  ...enterMutants,
  ...erasureMutants,
  ...fateMutants,
  ...fileMutants,
  ...idleMutants,
  ...laneMutants,
  ...ledgerMutants,
  ...linkMutants,
  ...maskMutants,
  ...netMutants,
  ...outboxMutants,
  ...partitionMutants,
  ...peopleMutants,
  ...periodMutants,
  ...noticeMutants,
  ...orderMutants,
  ...recordMutants,
  ...roleMutants,
  ...planMutants,
  ...preflightMutants,
  ...runnerMutants,
  ...subjectMutants,
  ...treeMutants,
  ...walkMutants,
  ...watchMutants,
];

/** Where the example has been removed, its places are gone with it. */
export const mutants = all.filter((m) => existsSync('lib/example') || !m.file.startsWith('lib/example/'));
