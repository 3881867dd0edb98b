import { jobRoute } from '@/lib/http/job-route';
import { trimOwnRecords } from '@/lib/operators/records/trim';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('own-records', trimOwnRecords);
