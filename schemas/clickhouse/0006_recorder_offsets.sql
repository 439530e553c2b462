-- Where to go on in the log: its offsets are not lines everywhere. And what blocks were cut by, since a block that is sent
-- again must be the same one. -1 in rows written before.
ALTER TABLE weir.recorder_progress ADD COLUMN IF NOT EXISTS journal_offset Int64 DEFAULT -1;
ALTER TABLE weir.recorder_progress ADD COLUMN IF NOT EXISTS decisions_offset Int64 DEFAULT -1;
ALTER TABLE weir.recorder_progress ADD COLUMN IF NOT EXISTS alerts_offset Int64 DEFAULT -1;
ALTER TABLE weir.recorder_progress ADD COLUMN IF NOT EXISTS rows_max Int64 DEFAULT -1;
ALTER TABLE weir.recorder_progress ADD COLUMN IF NOT EXISTS clock_ms Int64 DEFAULT -1;
