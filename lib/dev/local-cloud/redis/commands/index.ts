/** Every command the small engine knows. Whatever is not here is refused as unknown, never approximated. */
import { OK, Status } from '../reply';
import { type Commands, reads, writes } from './command';
import { hashes } from './hashes';
import { keyCommands } from './keys';
import { lists } from './lists';
import { sets } from './sets';
import { sortedSets } from './sorted-sets';
import { strings } from './strings';

const server: Commands = {
  PING: reads(-1, (_, [text]) => text ?? new Status('PONG')),
  ECHO: reads(2, (_, [text]) => text!),
  TIME: reads(1, (keys) => [
    String(Math.floor(keys.now / 1000)),
    String(Math.floor((keys.now % 1000) * 1000)),
  ]),
  FLUSHDB: writes(-1, (keys) => {
    keys.clear();
    return OK;
  }),
  FLUSHALL: writes(-1, (keys) => {
    keys.clear();
    return OK;
  }),
};

export const commands: Commands = {
  ...server,
  ...strings,
  ...keyCommands,
  ...hashes,
  ...lists,
  ...sets,
  ...sortedSets,
};
