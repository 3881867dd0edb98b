/** Redis' patterns: `*`, `?`, `[a-c]`, `[^x]` and a backslash before a character meant as itself. */
export function globMatcher(pattern: string): (text: string) => boolean {
  let source = '';
  for (let i = 0; i < pattern.length; i += 1) {
    const c = pattern[i]!;
    if (c === '*') source += '[^]*';
    else if (c === '?') source += '[^]';
    else if (c === '\\' && i + 1 < pattern.length) source += escaped(pattern[++i]!);
    else if (c === '[') {
      // Without its end it extends to the end of the pattern.
      const found = pattern.indexOf(']', i + 1);
      const end = found < 0 ? pattern.length : found;
      const inside = pattern.slice(i + 1, end);
      const negated = inside.startsWith('^');
      const set = (negated ? inside.slice(1) : inside).replaceAll(/[\\\]^[]/g, '\\$&');
      source += set ? `[${negated ? '^' : ''}${set}]` : negated ? '[^]' : '[]';
      i = end;
    } else source += escaped(c);
  }
  const expression = new RegExp(`^${source}$`);
  return (text) => expression.test(text);
}

function escaped(c: string): string {
  return c.replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}
