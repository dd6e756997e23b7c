-- Calls whose events were taken and are judged later: one row for each that is still to be asked about.
CREATE TABLE lookbacks (
    call BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    destination TEXT NOT NULL,
    receipt TEXT NOT NULL,
    looks INTEGER NOT NULL,
    due_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX lookbacks_due ON lookbacks (workspace, destination, due_at);
