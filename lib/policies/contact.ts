/** Whom people ask about their data. Stands in docs/RETENTION.md; put your own here, then run `npm run docs:retention`. */
export const contact = {
  who: 'the privacy team',
  address: 'privacy@example.com',
} as const;
