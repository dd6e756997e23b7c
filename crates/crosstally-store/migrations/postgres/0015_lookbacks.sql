-- Calls whose events were taken and are judged later: one row for each that is still to be asked about.
CREATE TABLE lookbacks (
    workspace BIGINT NOT NULL,
    call UUID NOT NULL,
    destination TEXT COLLATE "C" NOT NULL,
    receipt TEXT NOT NULL,
    looks BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    PRIMARY KEY (call, workspace)
);

CREATE INDEX lookbacks_due ON lookbacks (workspace, destination, due_at);
