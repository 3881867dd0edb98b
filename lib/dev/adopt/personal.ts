/**
 * Which columns look as if they held personal data: by name and type, as the running system looks (lib/policies/personal.ts),
 * and also because a bounded sample of the values has the shape of an address. The shapes are counted inside the database.
 */
import type { Classification } from '../../policies/data-map-contract';
import { looksPersonal } from '../../policies/personal';
import type { TableFacts } from './catalog';

export interface Personal {
  readonly column: string;
  readonly classification: Classification;
  /** The shape of its values, where the name says nothing; else null. */
  readonly shape: Shape | null;
}

/** Counted in the database, as POSIX regular expressions. */
export const SHAPES = {
  email: '^[^@[:space:]<>"]{1,64}@[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+$',
  ip: '^([0-9]{1,3}\\.){3}[0-9]{1,3}$|^[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){3,7}$',
  phone: '^\\+[0-9][0-9 ()./-]{7,20}$',
} as const;
type Shape = keyof typeof SHAPES;

/** A few rows of another kind are no reason: every fifth value is. */
const SHARE = 0.2;

export interface ShapeCounts extends Readonly<Record<Shape, number>> {
  /** Values that are not NULL or empty. */
  readonly values: number;
}

/** In the order of the table's columns. */
export function personalOf(table: TableFacts, shapes: ReadonlyMap<string, ShapeCounts>): Personal[] {
  return table.columns.flatMap((c): Personal[] => {
    const classification = looksPersonal({ table: table.name, column: c.name, type: c.plain });
    if (classification !== null) return [{ column: c.name, classification, shape: null }];
    const shape = shapeOf(shapes.get(c.name));
    return shape === null ? [] : [{ column: c.name, classification: 'confidential', shape }];
  });
}

function shapeOf(counts: ShapeCounts | undefined): Shape | null {
  if (counts === undefined || counts.values === 0) return null;
  return (['email', 'ip', 'phone'] as const).find((s) => counts[s] / counts.values >= SHARE) ?? null;
}
