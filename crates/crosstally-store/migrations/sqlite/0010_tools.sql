-- Runs of the tools, each with what was asked and what came out, secrets and contact values masked. `sealed` is the request
-- as it was, under the installation's key, so that it can be made again; empty where nothing of it may be kept.
CREATE TABLE tool_runs (
    id BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    at INTEGER NOT NULL,
    tool TEXT NOT NULL,
    author TEXT NOT NULL,
    passed INTEGER NOT NULL,
    request TEXT NOT NULL,
    answer TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
