-- What browsers tell of a click: each event of a name under an id once. One conversion has the id of each.
CREATE TABLE browser_events (
    click BLOB NOT NULL,
    name TEXT NOT NULL,
    event_id TEXT NOT NULL,
    workspace INTEGER NOT NULL,
    at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    campaign TEXT NOT NULL,
    transaction_id TEXT,
    page TEXT NOT NULL,
    fbc TEXT NOT NULL,
    fbp TEXT NOT NULL,
    ip TEXT,
    user_agent TEXT NOT NULL,
    consent TEXT NOT NULL,
    fields TEXT NOT NULL,
    taken_partner TEXT,
    taken_key TEXT,
    PRIMARY KEY (click, name, event_id)
) STRICT;

-- A later call often names no click: the event that its conversion has leads to it.
CREATE INDEX browser_events_taken ON browser_events (workspace, taken_partner, taken_key) WHERE taken_key IS NOT NULL;
