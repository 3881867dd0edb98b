/** As the shape it is made from, but rows that may stay for the sake of their group are settled first (spared/settle.ts). */
import type { Batch } from '../request';
import { sparing } from '../spared/settle';
import { LOCKED_PLACES } from './locked';
import type { Shape } from './shape';

export const spares = (b: Batch, shape: Shape): Shape => ({
  ...shape,
  between: [sparing(b, LOCKED_PLACES), ...(shape.between ?? [])],
});
