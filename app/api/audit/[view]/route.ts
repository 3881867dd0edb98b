import { auditRoute } from '@/lib/http/audit-routes';

export const maxDuration = 300;
export const GET = async (request: Request, { params }: { params: Promise<{ view: string }> }) =>
  auditRoute((await params).view)(request);
