/** As the shape it is made from, but what the rows refer to is locked before they go (contents.ts). */
import { lockingContents } from '../contents';
import type { Batch } from '../request';
import { LOCKED_PLACES } from './locked';
import type { Shape } from './shape';

export const withContents = (b: Batch, shape: Shape): Shape => ({
  ...shape,
  between: [lockingContents(b, LOCKED_PLACES)!, ...(shape.between ?? [])],
});
