/** CSV as RFC 4180 has it: a header, then one line a row, each field quoted where it has to be. */

/** `columns` name the fields of the header; a row has as many values, in their order. */
export const csv = (columns: readonly string[], rows: readonly (readonly unknown[])[]): string =>
  [columns, ...rows].map((row) => `${row.map(field).join(',')}\r\n`).join('');

/** What a spreadsheet would take for a formula is text, also where a list begins with it; a negative number stays one. */
function field(value: unknown): string {
  const plain = String(value ?? '');
  const text = !/^(number|bigint)$/.test(typeof value) && /^[=+\-@\t\r]/.test(plain) ? `'${plain}` : plain;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
