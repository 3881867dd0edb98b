-- Keys of dependants compress as badly as those of the rows themselves, and a batch waits for the attempt: keep them as they are.

-- Up Migration

alter table retention.receipt alter column dependants set storage external;

-- Down Migration

alter table retention.receipt alter column dependants set storage extended;
