-- A call of one event has its attempt in its own row: every such call would else be a row in two tables and an entry in two
-- indexes more. Calls of several events, and those of before, have their attempts in their table.
--
-- Columns that are added change no row that is there. The table keeps its rowid: a payload of more than a quarter of a page
-- would need a page of its own without.
ALTER TABLE calls ADD COLUMN delivery BLOB;
ALTER TABLE calls ADD COLUMN number INTEGER;
ALTER TABLE calls ADD COLUMN outcome TEXT;
ALTER TABLE calls ADD COLUMN reason TEXT;
ALTER TABLE calls ADD COLUMN payload TEXT NOT NULL DEFAULT '';

CREATE UNIQUE INDEX calls_of_one ON calls (delivery, number) WHERE delivery IS NOT NULL;

-- As with attempts, payloads that are to be purged are found without a look at all others.
CREATE INDEX calls_with_payload ON calls (id) WHERE payload <> '';
