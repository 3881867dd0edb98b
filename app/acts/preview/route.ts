import { after } from 'next/server';
import { previewRoute } from '@/lib/http/console/run-acts';

export const maxDuration = 300;
export const { POST } = previewRoute(after);
