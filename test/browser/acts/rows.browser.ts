import { actTests } from './doing';
import { ROW_ACTS } from './rows';

actTests(ROW_ACTS);
