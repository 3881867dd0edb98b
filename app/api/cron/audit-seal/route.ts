import { jobRoute } from '@/lib/http/job-route';
import { sealAudit } from '@/lib/operators/audit/seal';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('audit-seal', sealAudit);
