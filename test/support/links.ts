/** What an installation that sends links has set. */
export const LINKS = {
  LAPSE_LINK_KEY: '1f'.repeat(32),
  LAPSE_URL: 'https://lapse.test',
} as const;
