/** Whom people ask about their data, as docs/RETENTION.md shows it: enter yours, then `npm run docs:retention`. */
export const contact = {
  who: 'the privacy team',
  address: 'privacy@example.com',
} as const;
