-- Runs of the tools, each with what was asked and what came out, secrets and contact values masked. `sealed` is the request
-- as it was, under the installation's key, so that it can be made again; empty where nothing of it may be kept.
CREATE TABLE tool_runs (
    workspace BIGINT NOT NULL,
    id UUID NOT NULL,
    at BIGINT NOT NULL,
    tool TEXT COLLATE "C" NOT NULL,
    author TEXT NOT NULL,
    passed BOOLEAN NOT NULL,
    request TEXT NOT NULL,
    answer TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (id, workspace)
);
