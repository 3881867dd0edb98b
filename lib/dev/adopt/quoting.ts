/** Names as they are pasted into a statement; node-postgres quotes. */
import { escapeIdentifier } from 'pg';

export { escapeLiteral as literal } from 'pg';
export const quoted = escapeIdentifier;
export const quotedTable = (t: { readonly schema: string; readonly name: string }): string =>
  `${quoted(t.schema)}.${quoted(t.name)}`;
