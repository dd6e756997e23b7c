-- The spine: clicks, receipts, conversions, ledger, goal events, outbox, configuration, tokens.
--
-- Ids are 16 bytes that begin with the time, so new rows land at the end of their b-trees. Times are UTC milliseconds,
-- amounts are minor units. Tables with long rows have a rowid (their pages fill up completely, and no row needs an
-- overflow page before 4 KB); tables with short rows are stored in their key. No foreign keys between tables that grow:
-- they are written together in one transaction, and a check per row would cost a lookup each.

-- The only index is the key: everything else is asked of the columnar history.
CREATE TABLE clicks (
    id BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    at INTEGER NOT NULL,
    campaign TEXT NOT NULL,
    source TEXT NOT NULL,
    query TEXT NOT NULL,
    target TEXT NOT NULL,
    ip BLOB,
    user_agent TEXT NOT NULL,
    referrer TEXT NOT NULL,
    language TEXT NOT NULL,
    fbc_cookie TEXT NOT NULL,
    fbp_cookie TEXT NOT NULL,
    ad_click_ids TEXT NOT NULL,
    cost_minor INTEGER,
    cost_currency TEXT,
    gpc INTEGER NOT NULL,
    test INTEGER NOT NULL
) STRICT;

CREATE TABLE receipts (
    id BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    partner TEXT NOT NULL,
    method TEXT NOT NULL,
    query BLOB NOT NULL,
    body BLOB NOT NULL,
    content_type TEXT NOT NULL,
    peer TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT,
    detail TEXT NOT NULL,
    conversion BLOB,
    sequence INTEGER,
    click BLOB,
    read TEXT NOT NULL,
    goals TEXT NOT NULL
) STRICT;

CREATE INDEX receipts_by_partner ON receipts (workspace, partner, id);

-- The balance, kept with every receipt: counting millions of receipts for each look would be too slow.
CREATE TABLE receipt_counts (
    workspace INTEGER NOT NULL,
    partner TEXT NOT NULL,
    verdict TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (workspace, partner, verdict)
) STRICT, WITHOUT ROWID;

CREATE TABLE conversions (
    id BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    partner TEXT NOT NULL,
    dedupe_key TEXT NOT NULL,
    transaction_id TEXT,
    event TEXT,
    click BLOB,
    campaign TEXT NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    currency TEXT NOT NULL,
    payout INTEGER,
    revenue INTEGER,
    value INTEGER,
    confirmed INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    movements INTEGER NOT NULL,
    event_time INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    event_id TEXT,
    external_id TEXT,
    contact TEXT NOT NULL,
    goals_met TEXT NOT NULL,
    UNIQUE (workspace, partner, dedupe_key)
) STRICT, WITHOUT ROWID;

-- What belongs to a click: its receipts, each with the conversion that it is about (empty: none). Postbacks come for clicks
-- of all ages, so every row lands on a page of its own that has to be written; one row for both costs half of two indexes.
CREATE TABLE click_links (
    click BLOB NOT NULL,
    receipt BLOB NOT NULL,
    conversion BLOB NOT NULL,
    PRIMARY KEY (click, receipt, conversion)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_entries (
    conversion BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    workspace INTEGER NOT NULL,
    receipt BLOB NOT NULL,
    status TEXT NOT NULL,
    status_word TEXT NOT NULL,
    currency TEXT NOT NULL,
    payout INTEGER,
    revenue INTEGER,
    value INTEGER,
    confirmed_delta INTEGER NOT NULL,
    pending_delta INTEGER NOT NULL,
    event_time INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    click BLOB,
    campaign TEXT NOT NULL,
    source TEXT NOT NULL,
    partner TEXT NOT NULL,
    PRIMARY KEY (conversion, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE goal_events (
    id BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    conversion BLOB NOT NULL,
    goal TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    event_name TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Those of a conversion are found by the ids that it has of them.

-- The outbox. The ids of a goal event's deliveries begin with its own, so that they need no index to be found by.
-- `available_at` is when a pending delivery can be leased: the end of its lease while it is leased, else its
-- due time. One index range therefore finds what is due and what was left behind, and never touches what is being worked
-- on; it carries deadline and lease so that the sweep for overdue ones reads nothing but this index.
CREATE TABLE deliveries (
    id BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    goal_event BLOB NOT NULL,
    conversion BLOB NOT NULL,
    destination TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    detail TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    available_at INTEGER NOT NULL,
    deadline_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    fence INTEGER NOT NULL,
    lease_owner TEXT,
    lease_until INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_pending ON deliveries (workspace, destination, available_at, id, deadline_at, lease_until)
    WHERE state = 'pending';
CREATE INDEX deliveries_unsent ON deliveries (workspace, destination, state, id)
    WHERE state = 'dead' OR state = 'expired' OR state = 'cancelled';
CREATE INDEX deliveries_by_destination ON deliveries (workspace, destination, id);

-- How many deliveries stand where, kept with every change.
CREATE TABLE delivery_counts (
    workspace INTEGER NOT NULL,
    destination TEXT NOT NULL,
    state TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (workspace, destination, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE calls (
    id BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    destination TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    batch INTEGER NOT NULL,
    status INTEGER,
    response TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

CREATE TABLE attempts (
    delivery BLOB NOT NULL,
    number INTEGER NOT NULL,
    workspace INTEGER NOT NULL,
    call BLOB NOT NULL,
    outcome TEXT,
    reason TEXT,
    payload TEXT NOT NULL,
    PRIMARY KEY (delivery, number)
) STRICT;

CREATE TABLE destination_states (
    workspace INTEGER NOT NULL,
    destination TEXT NOT NULL,
    paused TEXT,
    detail TEXT NOT NULL,
    since INTEGER NOT NULL,
    settings_digest TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    PRIMARY KEY (workspace, destination)
) STRICT, WITHOUT ROWID;

CREATE TABLE config_versions (
    workspace INTEGER NOT NULL,
    version INTEGER NOT NULL,
    document TEXT NOT NULL,
    applied_at INTEGER NOT NULL,
    author TEXT NOT NULL,
    PRIMARY KEY (workspace, version)
) STRICT;

CREATE TABLE installation_values (
    workspace INTEGER NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (workspace, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- One row that is rewritten to find out whether writes reach the disk.
CREATE TABLE write_checks (
    workspace INTEGER NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT;
