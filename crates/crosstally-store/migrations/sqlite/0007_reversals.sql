-- What was taken back and is still to be followed: one row for each conversion, gone once it was followed.
CREATE TABLE open_reversals (
    conversion BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Events that tell of a reversal, beside those of the goals that their conversion has met.
CREATE TABLE adjustments (
    conversion BLOB NOT NULL,
    goal_event BLOB NOT NULL,
    workspace INTEGER NOT NULL,
    PRIMARY KEY (conversion, goal_event)
) STRICT, WITHOUT ROWID;

-- What deliveries stated where a reversal cannot be told, and what is left of it, in minor units.
CREATE TABLE overstated (
    delivery BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    destination TEXT NOT NULL,
    campaign TEXT NOT NULL,
    currency TEXT NOT NULL,
    stated INTEGER NOT NULL,
    remaining INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
