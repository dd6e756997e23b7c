-- Campaigns with paths: the way that a click took, its steps from landers to offers, and how many visitors offers had.

-- Only of clicks whose campaign has paths, so that the others cost nothing.
ALTER TABLE clicks ADD COLUMN way TEXT;

CREATE TABLE click_steps (
    workspace INTEGER NOT NULL,
    click BLOB NOT NULL,
    at INTEGER NOT NULL,
    offer TEXT NOT NULL,
    instead_of TEXT NOT NULL,
    PRIMARY KEY (workspace, click, at, offer)
) STRICT, WITHOUT ROWID;

-- One row for each start of a node, so that writing a count twice counts once. Day 0 is all days together.
CREATE TABLE offer_visitors (
    workspace INTEGER NOT NULL,
    offer TEXT NOT NULL,
    day INTEGER NOT NULL,
    node TEXT NOT NULL,
    visitors INTEGER NOT NULL,
    PRIMARY KEY (workspace, offer, day, node)
) STRICT, WITHOUT ROWID;
