-- Whether the address was in Europe, noted when it came: it stays known when the address goes. Nothing if it was not asked.
ALTER TABLE clicks ADD COLUMN in_europe INTEGER;
ALTER TABLE browser_events ADD COLUMN in_europe INTEGER;
