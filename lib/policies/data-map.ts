/**
 * Every table there is, one line each: its decision, and what an erasure does with its personal data
 * (docs/DATA-MAP.md). A table or a personal-looking column without one is reported with the line to add.
 */
import { exampleDataMap } from '../example/data-map';
import { type DataMap, defineDataMap } from './data-map-contract';

// biome-ignore format: one line a table
export const dataMap: DataMap = defineDataMap({
  ...exampleDataMap,
});
