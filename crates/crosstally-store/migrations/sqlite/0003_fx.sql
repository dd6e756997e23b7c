-- Amounts in the base currency: rates, the rate that each conversion was priced with, and what its movements are in it.

-- All four or none: none means that there is no rate yet, or nothing to price.
ALTER TABLE conversions ADD COLUMN fx_base TEXT;
ALTER TABLE conversions ADD COLUMN fx_rate TEXT;
ALTER TABLE conversions ADD COLUMN fx_date TEXT;
ALTER TABLE conversions ADD COLUMN fx_source TEXT;
ALTER TABLE conversions ADD COLUMN base_confirmed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversions ADD COLUMN base_pending INTEGER NOT NULL DEFAULT 0;

ALTER TABLE ledger_entries ADD COLUMN fx_base TEXT;
ALTER TABLE ledger_entries ADD COLUMN fx_rate TEXT;
ALTER TABLE ledger_entries ADD COLUMN fx_date TEXT;
ALTER TABLE ledger_entries ADD COLUMN fx_source TEXT;
ALTER TABLE ledger_entries ADD COLUMN base_confirmed_delta INTEGER;
ALTER TABLE ledger_entries ADD COLUMN base_pending_delta INTEGER;

-- Only of conversions that wait for a rate: the others never touch it.
CREATE INDEX conversions_fx_pending ON conversions (workspace, id) WHERE fx_source IS NULL AND value <> 0;

CREATE TABLE fx_rates (
    workspace INTEGER NOT NULL,
    date TEXT NOT NULL,
    base TEXT NOT NULL,
    quote TEXT NOT NULL,
    source TEXT NOT NULL,
    rate TEXT NOT NULL,
    imported_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, date, base, quote, source)
) STRICT, WITHOUT ROWID;

-- Counts the imports that changed something, so that every node notices.
CREATE TABLE fx_versions (
    workspace INTEGER NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT;

-- Who had which days rated again, and what it changed.
CREATE TABLE fx_jobs (
    workspace INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    author TEXT NOT NULL,
    first_day TEXT NOT NULL,
    last_day TEXT NOT NULL,
    currency TEXT,
    changed INTEGER NOT NULL,
    sums TEXT NOT NULL,
    PRIMARY KEY (workspace, number)
) STRICT, WITHOUT ROWID;
