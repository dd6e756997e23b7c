-- What browsers tell of a click: each event of a name under an id once. One conversion has the id of each.
CREATE TABLE browser_events (
    workspace BIGINT NOT NULL,
    click UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    campaign TEXT COLLATE "C" NOT NULL,
    transaction_id TEXT COLLATE "C",
    page TEXT COLLATE "C" NOT NULL,
    fbc TEXT COLLATE "C" NOT NULL,
    fbp TEXT COLLATE "C" NOT NULL,
    ip TEXT COLLATE "C",
    user_agent TEXT COLLATE "C" NOT NULL,
    consent TEXT COLLATE "C" NOT NULL,
    fields TEXT COLLATE "C" NOT NULL,
    taken_partner TEXT COLLATE "C",
    taken_key TEXT COLLATE "C",
    PRIMARY KEY (click, name, event_id, workspace)
);

-- A later call often names no click: the event that its conversion has leads to it.
CREATE INDEX browser_events_taken ON browser_events (taken_key, taken_partner, workspace) WHERE taken_key IS NOT NULL;
