/** A table's line of the data map, as a program writes it into lib/policies/data-map.ts or names it in a warning. */
import type { TableInput } from './data-map-contract';

/** `  'public.users': { kept: '…', confidential: { delete: ['email'] } },` */
export const lineOf = (label: string, input: TableInput): string => `  ${quote(label)}: ${literal(input)},`;

const quote = (text: string): string =>
  `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`;

function literal(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  return `{ ${entries.map(([key, v]) => `${/^[A-Za-z_$][\w$]*$/.test(key) ? key : quote(key)}: ${literal(v)}`).join(', ')} }`;
}
