-- Inbound: receipts that can be read again, what they wait for, the balance by the hour, aliases of clicks, nonces,
-- idempotency keys.

-- Why an entry was written, and what its call said.
ALTER TABLE ledger_entries ADD COLUMN kind TEXT NOT NULL DEFAULT 'call';
ALTER TABLE ledger_entries ADD COLUMN content UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';

-- How often the receipt was read again; the headers that the contract asks for; the hashed contact values, which the kept
-- call has no more; the original of what could not be read, sealed; labels such as fraud marks.
ALTER TABLE receipts ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
ALTER TABLE receipts ADD COLUMN headers TEXT NOT NULL DEFAULT '[]';
ALTER TABLE receipts ADD COLUMN contact TEXT NOT NULL DEFAULT '{}';
ALTER TABLE receipts ADD COLUMN sealed BYTEA;
ALTER TABLE receipts ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';

-- Receipts that moved a conversion when they came are found by the ledger.
CREATE INDEX receipts_by_conversion ON receipts (conversion, id)
    WHERE conversion IS NOT NULL AND (revision > 0 OR verdict NOT IN ('recorded', 'updated'));

-- What a receipt said before it was read again, and why it was.
CREATE TABLE receipt_revisions (
    receipt UUID NOT NULL,
    number BIGINT NOT NULL,
    workspace BIGINT NOT NULL,
    at BIGINT NOT NULL,
    cause TEXT NOT NULL,
    author TEXT NOT NULL,
    repair TEXT NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT,
    detail TEXT NOT NULL,
    conversion UUID,
    sequence BIGINT,
    read TEXT NOT NULL,
    PRIMARY KEY (receipt, number, workspace)
);

-- Receipts that wait for a click or for an alias; `next_at` is when they are looked at next.
CREATE TABLE receipt_waits (
    receipt UUID NOT NULL,
    workspace BIGINT NOT NULL,
    awaited TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    looks BIGINT NOT NULL,
    PRIMARY KEY (receipt, workspace)
);

CREATE INDEX receipt_waits_due ON receipt_waits (next_at, workspace);
CREATE INDEX receipt_waits_awaited ON receipt_waits (awaited, workspace);

-- Click ids of other trackers, and the clicks they stand for.
CREATE TABLE click_aliases (
    workspace BIGINT NOT NULL,
    alias TEXT COLLATE "C" NOT NULL,
    click UUID NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (alias, workspace)
);

-- The balance by the hour in which calls were received, kept with every receipt: counting millions of them for each look
-- would be too slow. Rows of one count are spread over slots, so that connections do not wait for each other.
CREATE TABLE receipt_hours (
    workspace BIGINT NOT NULL,
    partner TEXT COLLATE "C" NOT NULL,
    hour BIGINT NOT NULL,
    verdict TEXT COLLATE "C" NOT NULL,
    slot BIGINT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (partner, hour, verdict, slot, workspace)
);

INSERT INTO receipt_hours (workspace, partner, hour, verdict, slot, count)
    SELECT workspace, partner, received_at / 3600000 * 3600000, verdict, 0, count(*) FROM receipts GROUP BY 1, 2, 3, 4;

DROP TABLE receipt_counts;

-- Numbers that a signature may use once.
CREATE TABLE nonces (
    workspace BIGINT NOT NULL,
    partner TEXT COLLATE "C" NOT NULL,
    nonce TEXT COLLATE "C" NOT NULL,
    receipt UUID NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (nonce, partner, workspace)
);

CREATE INDEX nonces_by_age ON nonces (seen_at, workspace);

-- Keys under which a request counts once, with the answer that it had.
CREATE TABLE idempotency_keys (
    workspace BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    status BIGINT,
    answer TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (key, workspace)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at, workspace);
