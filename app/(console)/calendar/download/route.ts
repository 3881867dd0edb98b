import { calendarFileRoute } from '@/lib/http/console/calendar';

export const maxDuration = 60;
export const { GET } = calendarFileRoute();
