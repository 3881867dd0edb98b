/** The parts of `npm run proof:rights`: each a file of its own, which runs on a cloud of its own and leaves nothing behind. */
import { archive } from './archive';
import { erasure } from './erasure';
import { fair } from './fair';
import { notices } from './notices';
import type { Part } from './part';
import { replay } from './replay';

export const PARTS: readonly Part[] = [archive, erasure, replay, fair, notices];
