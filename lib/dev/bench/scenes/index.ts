/** Every scene, in the order in which they run. */
import { archive } from './archive';
import { backlog } from './backlog';
import { dependants } from './dependants';
import { files } from './files';
import { company, foreground } from './foreground';
import { idle } from './idle';
import { memory } from './memory';
import { partition } from './partition';
import { reader } from './reader';
import type { Scene } from './scene';
import { tenTimes } from './ten-times';
import { tenants } from './tenants';
import { tree } from './tree';
import { trickle } from './trickle';

export const scenes: readonly Scene[] = [
  backlog,
  memory,
  tenTimes,
  reader,
  foreground,
  company,
  trickle,
  partition,
  tenants,
  files,
  dependants,
  tree,
  archive,
  idle,
];
