-- Inbound: receipts that can be read again, what they wait for, the balance by the hour, aliases of clicks, nonces,
-- idempotency keys.

-- Why an entry was written, and what its call said.
ALTER TABLE ledger_entries ADD COLUMN kind TEXT NOT NULL DEFAULT 'call';
ALTER TABLE ledger_entries ADD COLUMN content BLOB NOT NULL DEFAULT x'00000000000000000000000000000000';

-- How often the receipt was read again; the headers that the contract asks for; the hashed contact values, which the kept
-- call has no more; the original of what could not be read, sealed; labels such as fraud marks.
ALTER TABLE receipts ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE receipts ADD COLUMN headers TEXT NOT NULL DEFAULT '[]';
ALTER TABLE receipts ADD COLUMN contact TEXT NOT NULL DEFAULT '{}';
ALTER TABLE receipts ADD COLUMN sealed BLOB;
ALTER TABLE receipts ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';

-- Receipts that moved a conversion when they came are found by the ledger.
CREATE INDEX receipts_by_conversion ON receipts (conversion, id)
    WHERE conversion IS NOT NULL AND (revision > 0 OR verdict NOT IN ('recorded', 'updated'));

-- What a receipt said before it was read again, and why it was.
CREATE TABLE receipt_revisions (
    receipt BLOB NOT NULL,
    number INTEGER NOT NULL,
    workspace INTEGER NOT NULL,
    at INTEGER NOT NULL,
    cause TEXT NOT NULL,
    author TEXT NOT NULL,
    repair TEXT NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT,
    detail TEXT NOT NULL,
    conversion BLOB,
    sequence INTEGER,
    read TEXT NOT NULL,
    PRIMARY KEY (receipt, number)
) STRICT;

-- Receipts that wait for a click or for an alias; `next_at` is when they are looked at next.
CREATE TABLE receipt_waits (
    receipt BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    awaited TEXT NOT NULL,
    since INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    looks INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX receipt_waits_due ON receipt_waits (workspace, next_at);
CREATE INDEX receipt_waits_awaited ON receipt_waits (workspace, awaited);

-- Click ids of other trackers, and the clicks they stand for.
CREATE TABLE click_aliases (
    workspace INTEGER NOT NULL,
    alias TEXT NOT NULL,
    click BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, alias)
) STRICT, WITHOUT ROWID;

-- The balance by the hour in which calls were received, kept with every receipt: counting millions of them for each look
-- would be too slow.
CREATE TABLE receipt_hours (
    workspace INTEGER NOT NULL,
    partner TEXT NOT NULL,
    hour INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (workspace, partner, hour, verdict)
) STRICT, WITHOUT ROWID;

INSERT INTO receipt_hours (workspace, partner, hour, verdict, count)
    SELECT workspace, partner, received_at / 3600000 * 3600000, verdict, count(*) FROM receipts GROUP BY 1, 2, 3, 4;

DROP TABLE receipt_counts;

-- Numbers that a signature may use once.
CREATE TABLE nonces (
    workspace INTEGER NOT NULL,
    partner TEXT NOT NULL,
    nonce TEXT NOT NULL,
    receipt BLOB NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, partner, nonce)
) STRICT, WITHOUT ROWID;

CREATE INDEX nonces_by_age ON nonces (workspace, seen_at);

-- Keys under which a request counts once, with the answer that it had.
CREATE TABLE idempotency_keys (
    workspace INTEGER NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    status INTEGER,
    answer TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (workspace, created_at);
