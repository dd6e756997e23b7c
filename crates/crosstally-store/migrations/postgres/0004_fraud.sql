-- Fraud marks: labels of clicks and conversions, and where a contact or an address was seen.

-- Only of those that have any, so that the others cost nothing.
ALTER TABLE clicks ADD COLUMN labels TEXT;
ALTER TABLE conversions ADD COLUMN labels TEXT;

-- Keyed hashes of contacts and addresses with the conversions that they were seen on. A conversion's id begins with the time
-- at which it was first booked, so a range of ids is a span of time. Kept only while the configuration asks for it.
CREATE TABLE sightings (
    workspace BIGINT NOT NULL,
    key UUID NOT NULL,
    conversion UUID NOT NULL,
    PRIMARY KEY (key, conversion, workspace)
);

CREATE INDEX sightings_by_age ON sightings (conversion, workspace);
