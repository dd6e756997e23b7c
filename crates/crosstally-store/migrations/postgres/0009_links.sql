-- Campaigns with paths: the way that a click took, its steps from landers to offers, and how many visitors offers had.

-- Only of clicks whose campaign has paths, so that the others cost nothing.
ALTER TABLE clicks ADD COLUMN way TEXT;

CREATE TABLE click_steps (
    workspace BIGINT NOT NULL,
    click UUID NOT NULL,
    at BIGINT NOT NULL,
    offer TEXT COLLATE "C" NOT NULL,
    instead_of TEXT NOT NULL,
    PRIMARY KEY (click, at, offer, workspace)
);

-- One row for each start of a node, so that writing a count twice counts once. Day 0 is all days together.
CREATE TABLE offer_visitors (
    workspace BIGINT NOT NULL,
    offer TEXT COLLATE "C" NOT NULL,
    day BIGINT NOT NULL,
    node TEXT COLLATE "C" NOT NULL,
    visitors BIGINT NOT NULL,
    PRIMARY KEY (offer, day, node, workspace)
);
