-- Amounts in the base currency: rates, the rate that each conversion was priced with, and what its movements are in it.

-- All four or none: none means that there is no rate yet, or nothing to price.
ALTER TABLE conversions ADD COLUMN fx_base TEXT;
ALTER TABLE conversions ADD COLUMN fx_rate TEXT;
ALTER TABLE conversions ADD COLUMN fx_date TEXT;
ALTER TABLE conversions ADD COLUMN fx_source TEXT;
ALTER TABLE conversions ADD COLUMN base_confirmed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversions ADD COLUMN base_pending BIGINT NOT NULL DEFAULT 0;

ALTER TABLE ledger_entries ADD COLUMN fx_base TEXT;
ALTER TABLE ledger_entries ADD COLUMN fx_rate TEXT;
ALTER TABLE ledger_entries ADD COLUMN fx_date TEXT;
ALTER TABLE ledger_entries ADD COLUMN fx_source TEXT;
ALTER TABLE ledger_entries ADD COLUMN base_confirmed_delta BIGINT;
ALTER TABLE ledger_entries ADD COLUMN base_pending_delta BIGINT;

-- Only of conversions that wait for a rate: the others never touch it.
CREATE INDEX conversions_fx_pending ON conversions (workspace, id) WHERE fx_source IS NULL AND value <> 0;

CREATE TABLE fx_rates (
    workspace BIGINT NOT NULL,
    date TEXT COLLATE "C" NOT NULL,
    base TEXT COLLATE "C" NOT NULL,
    quote TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    rate TEXT NOT NULL,
    imported_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, date, base, quote, source)
);

-- Counts the imports that changed something, so that every node notices.
CREATE TABLE fx_versions (
    workspace BIGINT PRIMARY KEY,
    version BIGINT NOT NULL
);

-- Who had which days rated again, and what it changed.
CREATE TABLE fx_jobs (
    workspace BIGINT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    author TEXT NOT NULL,
    first_day TEXT NOT NULL,
    last_day TEXT NOT NULL,
    currency TEXT,
    changed BIGINT NOT NULL,
    sums TEXT NOT NULL,
    PRIMARY KEY (workspace, number)
);
