/** What waits for a person, read once a request: for the number in the bar and for the page. */
import { cache } from 'react';
import { attention } from '@/lib/http/console/attention';
import { reading } from '@/lib/http/console/reading';
import { services } from '@/lib/services';

export const whatWaits = cache(() => {
  const s = services();
  return reading(s, 'What waits for a person', () => attention(s));
});
