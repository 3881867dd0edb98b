import { sealAudit } from '@/lib/audit/seal';
import { jobRoute } from '@/lib/http/job-route';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('audit-seal', sealAudit);
