-- The spine: clicks, receipts, conversions, ledger, goal events, outbox, configuration, tokens.
--
-- Ids are 16 bytes that begin with the time, so new rows land at the end of their b-trees; `uuid` is the type that
-- takes any 16 bytes and compares them fastest. Times are UTC milliseconds, amounts are minor units. Every key holds
-- the id and the workspace: nothing hands out numbers, so the tables can be spread by workspace or id, and those that
-- grow can be cut by time (a range of ids is a range of times). No foreign keys between tables that grow: they are
-- written together in one transaction, and a check per row would cost a lookup each.
--
-- Each index begins with the column that tells most. A statement that finds many rows by what such a column holds has
-- then one possible plan, whatever the server knows or does not know yet about the sizes of young tables.
--
-- Texts that are compared inside an index have the collation "C": bytes, which no update of the system's locales can
-- bring out of order.

-- The only index is the key: everything else is asked of the columnar history.
CREATE TABLE clicks (
    workspace BIGINT NOT NULL,
    id UUID NOT NULL,
    at BIGINT NOT NULL,
    campaign TEXT NOT NULL,
    source TEXT NOT NULL,
    query TEXT NOT NULL,
    target TEXT NOT NULL,
    ip INET,
    user_agent TEXT NOT NULL,
    referrer TEXT NOT NULL,
    language TEXT NOT NULL,
    fbc_cookie TEXT NOT NULL,
    fbp_cookie TEXT NOT NULL,
    ad_click_ids TEXT NOT NULL,
    cost_minor BIGINT,
    cost_currency TEXT,
    gpc BOOLEAN NOT NULL,
    test BOOLEAN NOT NULL,
    PRIMARY KEY (id, workspace)
);

CREATE TABLE receipts (
    workspace BIGINT NOT NULL,
    id UUID NOT NULL,
    received_at BIGINT NOT NULL,
    partner TEXT COLLATE "C" NOT NULL,
    method TEXT NOT NULL,
    query BYTEA NOT NULL,
    body BYTEA NOT NULL,
    content_type TEXT NOT NULL,
    peer TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    verdict TEXT COLLATE "C" NOT NULL,
    reason TEXT,
    detail TEXT NOT NULL,
    conversion UUID,
    sequence BIGINT,
    click UUID,
    read TEXT NOT NULL,
    goals TEXT NOT NULL,
    PRIMARY KEY (id, workspace)
);

CREATE INDEX receipts_by_partner ON receipts (partner, workspace, id);
CREATE INDEX receipts_by_click ON receipts (click, id) WHERE click IS NOT NULL;

-- The balance, kept with every receipt: counting millions of receipts for each look would be too slow. A count is the
-- sum over its slots: transactions that run at once write to different ones, instead of queueing for one row.
CREATE TABLE receipt_counts (
    workspace BIGINT NOT NULL,
    partner TEXT COLLATE "C" NOT NULL,
    verdict TEXT COLLATE "C" NOT NULL,
    slot INTEGER NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (workspace, partner, verdict, slot)
) WITH (fillfactor = 50);

CREATE TABLE conversions (
    workspace BIGINT NOT NULL,
    id UUID NOT NULL,
    partner TEXT COLLATE "C" NOT NULL,
    dedupe_key TEXT COLLATE "C" NOT NULL,
    transaction_id TEXT COLLATE "C",
    event TEXT,
    click UUID,
    campaign TEXT NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    currency TEXT NOT NULL,
    payout BIGINT,
    revenue BIGINT,
    value BIGINT,
    confirmed BIGINT NOT NULL,
    pending BIGINT NOT NULL,
    movements BIGINT NOT NULL,
    event_time BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    event_id TEXT,
    external_id TEXT,
    contact TEXT NOT NULL,
    goals_met TEXT NOT NULL,
    PRIMARY KEY (id, workspace),
    CONSTRAINT conversions_by_key UNIQUE (dedupe_key, partner, workspace)
) WITH (fillfactor = 85);

CREATE INDEX conversions_by_transaction ON conversions (transaction_id, partner, workspace, id)
    WHERE transaction_id IS NOT NULL;
CREATE INDEX conversions_by_click ON conversions (click, id) WHERE click IS NOT NULL;

CREATE TABLE ledger_entries (
    workspace BIGINT NOT NULL,
    conversion UUID NOT NULL,
    sequence BIGINT NOT NULL,
    receipt UUID NOT NULL,
    status TEXT NOT NULL,
    status_word TEXT NOT NULL,
    currency TEXT NOT NULL,
    payout BIGINT,
    revenue BIGINT,
    value BIGINT,
    confirmed_delta BIGINT NOT NULL,
    pending_delta BIGINT NOT NULL,
    event_time BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    click UUID,
    campaign TEXT NOT NULL,
    source TEXT NOT NULL,
    partner TEXT NOT NULL,
    PRIMARY KEY (conversion, sequence, workspace)
);

CREATE TABLE goal_events (
    workspace BIGINT NOT NULL,
    id UUID NOT NULL,
    conversion UUID NOT NULL,
    goal TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    event_name TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id, workspace)
);

-- Those of a conversion are found by the ids that it has of them.

-- The outbox. The ids of a goal event's deliveries begin with its own, so that they need no index to be found by.
-- `available_at` is when a pending delivery can be leased: the end of its lease while it is leased, else its
-- due time. One index range therefore finds what is due and what was left behind, and never touches what is being worked
-- on; it carries the deadline so that the sweep for overdue ones reads little but this index.
--
-- Rows change several times and then never again: room on their pages lets most changes stay there, and what is left
-- behind is swept up early, because the due ones are looked for right where the done ones were.
CREATE TABLE deliveries (
    workspace BIGINT NOT NULL,
    id UUID NOT NULL,
    goal_event UUID NOT NULL,
    conversion UUID NOT NULL,
    destination TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    reason TEXT,
    detail TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    available_at BIGINT NOT NULL,
    deadline_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    fence BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT,
    PRIMARY KEY (id, workspace)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

CREATE INDEX deliveries_pending ON deliveries (destination, workspace, available_at, id, deadline_at)
    WHERE state = 'pending';
CREATE INDEX deliveries_unsent ON deliveries (state, workspace, id)
    WHERE state = 'dead' OR state = 'expired' OR state = 'cancelled';
CREATE INDEX deliveries_by_destination ON deliveries (destination, workspace, id);

-- How many deliveries stand where, kept with every change; in slots, as above. One slot alone may be negative.
CREATE TABLE delivery_counts (
    workspace BIGINT NOT NULL,
    destination TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    slot INTEGER NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (workspace, destination, state, slot)
) WITH (fillfactor = 50);

CREATE TABLE calls (
    workspace BIGINT NOT NULL,
    id UUID NOT NULL,
    destination TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    batch BIGINT NOT NULL,
    status INTEGER,
    response TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (id, workspace)
);

CREATE TABLE attempts (
    workspace BIGINT NOT NULL,
    delivery UUID NOT NULL,
    number BIGINT NOT NULL,
    call UUID NOT NULL,
    outcome TEXT,
    reason TEXT,
    payload TEXT NOT NULL,
    PRIMARY KEY (delivery, number, workspace)
) WITH (fillfactor = 85);

CREATE TABLE destination_states (
    workspace BIGINT NOT NULL,
    destination TEXT COLLATE "C" NOT NULL,
    paused TEXT,
    detail TEXT NOT NULL,
    since BIGINT NOT NULL,
    settings_digest TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    PRIMARY KEY (workspace, destination)
);

CREATE TABLE config_versions (
    workspace BIGINT NOT NULL,
    version BIGINT NOT NULL,
    document TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    author TEXT NOT NULL,
    PRIMARY KEY (workspace, version)
);

CREATE TABLE installation_values (
    workspace BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (workspace, name)
);

CREATE TABLE tokens (
    workspace BIGINT NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (id, workspace),
    CONSTRAINT tokens_by_hash UNIQUE (hash, workspace)
);

-- One row that is rewritten to find out whether writes reach the disk.
CREATE TABLE write_checks (
    workspace BIGINT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL
);
