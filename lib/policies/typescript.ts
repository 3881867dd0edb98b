/** Values as TypeScript, for programs that write declarations: single quotes, one line. */

export const quoted = (text: string): string =>
  `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`;

const nameOf = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? key : quoted(key));

/** `special` says what is written in another way, e.g. as a call; undefined for all else. Fields without a value are left out. */
export function written(
  value: unknown,
  special: (value: object) => string | undefined = () => undefined,
): string {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${value.map((v) => written(v, special)).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  return (
    special(value) ?? `{ ${entries.map(([key, v]) => `${nameOf(key)}: ${written(v, special)}`).join(', ')} }`
  );
}
