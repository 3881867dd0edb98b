import { actTests } from './doing';
import { RUN_ACTS } from './runs';

actTests(RUN_ACTS);
