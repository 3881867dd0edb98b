/** Every mutant there is, by area. */
import { approvalMutants } from './list/approvals';
import { auditMutants } from './list/audit';
import { batchMutants } from './list/batch';
import { controlMutants } from './list/control';
import { enterMutants } from './list/enter';
import { fileMutants } from './list/files';
import { netMutants } from './list/net';
import { orderMutants } from './list/orders';
import { outboxMutants } from './list/outbox';
import { partitionMutants } from './list/partitions';
import { peopleMutants } from './list/people';
import { preflightMutants } from './list/preflight';
import { recordMutants } from './list/records';
import { roleMutants } from './list/roles';
import { runnerMutants } from './list/runner';
import { subjectMutants } from './list/subjects';
import { walkMutants } from './list/walk';
import { watchMutants } from './list/watch';
import type { Mutant } from './mutant';

export const mutants: readonly Mutant[] = [
  ...approvalMutants,
  ...batchMutants,
  ...auditMutants,
  ...controlMutants,
  ...enterMutants,
  ...fileMutants,
  ...netMutants,
  ...outboxMutants,
  ...partitionMutants,
  ...peopleMutants,
  ...orderMutants,
  ...recordMutants,
  ...roleMutants,
  ...preflightMutants,
  ...runnerMutants,
  ...subjectMutants,
  ...walkMutants,
  ...watchMutants,
];
