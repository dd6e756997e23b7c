-- When a delivery that is made once more had arrived before: that it arrived stays true, whatever comes of the replay.
ALTER TABLE deliveries ADD COLUMN arrived_at INTEGER;

-- The delivery that noted it last, zeroes for a movement: what is noted while it is being followed is followed once more.
ALTER TABLE open_reversals ADD COLUMN noted_by BLOB NOT NULL DEFAULT x'00000000000000000000000000000000';
