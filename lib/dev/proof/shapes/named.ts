/** What a developer says of the rows of any table: their key, by whom a hold finds them, and the files they name. */
import { PREFIX } from './rows';
import type { ShapeTable } from './shape';

const TEXT = /^(text|character)/;

/** With its types, or as the catalog has them. */
export const keyOf = (t: ShapeTable, isTyped = true) =>
  t.key.map((column) => {
    const { type } = t.columns.find((c) => c.name === column)!;
    return {
      column,
      ...(isTyped ? { type } : {}),
      ...(TEXT.test(type) ? { personal: false as const } : {}),
    };
  });

export const scopeOf = (t: ShapeTable) => ({
  ...(t.organization ? { organization: t.organization } : {}),
  ...(t.person ? { user: t.person } : {}),
});

export const filesOf = (t: ShapeTable) =>
  t.file
    ? [
        {
          column: t.file,
          ...(t.bytes ? { bytes: t.bytes } : {}),
          fate: 'delete' as const,
          prefix: PREFIX,
        },
      ]
    : [];
