import { answerRoute } from '@/lib/http/console/why';

export const maxDuration = 60;
export const { GET } = answerRoute();
