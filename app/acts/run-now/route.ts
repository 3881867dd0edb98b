import { after } from 'next/server';
import { runNowRoute } from '@/lib/http/console/run-acts';

export const maxDuration = 300;
export const { POST } = runNowRoute(after);
