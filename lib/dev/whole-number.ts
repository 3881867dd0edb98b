/** A number of the command line; anything else ends the command with code 2 and says what it takes. */
export function wholeNumber(option: string, text: string, least = 1): number {
  const n = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(n) && n >= least) return n;
  console.error(`--${option} takes a whole number from ${least}`);
  process.exit(2);
}
