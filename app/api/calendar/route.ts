import { calendarRoute } from '@/lib/http/calendar-route';

export const maxDuration = 60;
export const GET = calendarRoute();
