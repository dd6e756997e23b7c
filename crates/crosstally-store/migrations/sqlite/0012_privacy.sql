-- Requests to erase a person, what came of them, and what keeps it from coming back; how far each class of fields is purged.

-- `wanted` is whom to look for, sealed, until it is done; `subject` says only which kinds of marks were named. `done_to` is
-- where the search stands, so that whoever carries it on after a crash begins there.
CREATE TABLE erasures (
    id BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    at INTEGER NOT NULL,
    author TEXT NOT NULL,
    subject TEXT NOT NULL,
    wanted BLOB NOT NULL,
    done_to TEXT NOT NULL,
    lease_owner TEXT,
    lease_until INTEGER,
    finished_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX erasures_open ON erasures (workspace, id) WHERE finished_at IS NULL;

-- How many rows of what were erased, counted in the transaction that did it.
CREATE TABLE erasure_counts (
    erasure BLOB NOT NULL,
    what TEXT NOT NULL,
    workspace INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (erasure, what)
) STRICT, WITHOUT ROWID;

-- Keyed hashes of what was erased, and nothing else. The version rises, so that nodes learn of new ones only.
CREATE TABLE tombstones (
    workspace INTEGER NOT NULL,
    key BLOB NOT NULL,
    version INTEGER NOT NULL,
    erased_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX tombstones_by_version ON tombstones (workspace, version);

CREATE TABLE tombstone_versions (
    workspace INTEGER NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT;

-- Other trackers' ids of a click that is erased go with it.
CREATE INDEX click_aliases_by_click ON click_aliases (workspace, click);

-- How far each class of fields is purged in each table: ids begin with the time.
CREATE TABLE purges (
    workspace INTEGER NOT NULL,
    class TEXT NOT NULL,
    place TEXT NOT NULL,
    done_to BLOB NOT NULL,
    purged INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, class, place)
) STRICT, WITHOUT ROWID;
