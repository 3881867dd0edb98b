/** Rows and columns on a desk, cards on a phone: the same cells, each with its column's name. Sorted and paged by the server. */

import type { ReactNode } from 'react';
import { breakable } from './breakable';
import { Empty } from './notes';

export interface Column<T> {
  readonly name: string;
  readonly cell: (row: T) => ReactNode;
  /** Figures stand under each other. */
  readonly number?: boolean;
}

export function Table<T>(props: {
  caption: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  /** Goes to the browser with the page, also where no cell shows it. */
  rowKey: (row: T, index: number) => string;
  /** What would be here, and how it comes. */
  empty: ReactNode;
}) {
  const { caption, columns, rows, rowKey, empty } = props;
  if (rows.length === 0) return <Empty>{empty}</Empty>;
  const [first, ...rest] = columns;
  return (
    <table className="rows">
      <caption className="sr-only">{caption}</caption>
      <thead>
        <tr>
          {columns.map(({ name, number }) => (
            <th key={name} scope="col" data-number={number || undefined}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, index) => (
          <tr key={rowKey(row, index)}>
            <th scope="row">{cellOf(first?.cell(row))}</th>
            {rest.map(({ name, number, cell }) => (
              <td key={name} data-label={name} data-number={number || undefined}>
                {cellOf(cell(row))}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const cellOf = (node: ReactNode): ReactNode => (typeof node === 'string' ? breakable(node) : node);

/** To the page after this one: a keyset, so that a long history costs no more than a short one. */
export function NextPage({ href, children = 'Older' }: { href: string | null; children?: ReactNode }) {
  if (href === null) return null;
  return (
    <p>
      <a href={href} rel="next" className="button">
        {children}
      </a>
    </p>
  );
}
