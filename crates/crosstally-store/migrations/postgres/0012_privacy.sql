-- Requests to erase a person, what came of them, and what keeps it from coming back; how far each class of fields is purged.

-- `wanted` is whom to look for, sealed, until it is done; `subject` says only which kinds of marks were named. `done_to` is
-- where the search stands, so that whoever carries it on after a crash begins there.
CREATE TABLE erasures (
    workspace BIGINT NOT NULL,
    id UUID NOT NULL,
    at BIGINT NOT NULL,
    author TEXT NOT NULL,
    subject TEXT NOT NULL,
    wanted BYTEA NOT NULL,
    done_to TEXT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT,
    finished_at BIGINT,
    PRIMARY KEY (id, workspace)
);

CREATE INDEX erasures_open ON erasures (id, workspace) WHERE finished_at IS NULL;

-- How many rows of what were erased, counted in the transaction that did it.
CREATE TABLE erasure_counts (
    workspace BIGINT NOT NULL,
    erasure UUID NOT NULL,
    what TEXT COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (erasure, what, workspace)
);

-- Keyed hashes of what was erased, and nothing else. The version rises, so that nodes learn of new ones only.
CREATE TABLE tombstones (
    workspace BIGINT NOT NULL,
    key UUID NOT NULL,
    version BIGINT NOT NULL,
    erased_at BIGINT NOT NULL,
    PRIMARY KEY (key, workspace)
);

CREATE INDEX tombstones_by_version ON tombstones (version, workspace);

CREATE TABLE tombstone_versions (
    workspace BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);

-- Other trackers' ids of a click that is erased go with it.
CREATE INDEX click_aliases_by_click ON click_aliases (click, workspace);

-- How far each class of fields is purged in each table: ids begin with the time.
CREATE TABLE purges (
    workspace BIGINT NOT NULL,
    class TEXT COLLATE "C" NOT NULL,
    place TEXT COLLATE "C" NOT NULL,
    done_to UUID NOT NULL,
    purged BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (class, place, workspace)
);
