-- Jobs over many deliveries, and lanes, so that a backlog or a replay does not hold up what is new.

-- 0 is new, 1 failed before or was made due by hand, 2 is sent once more by a job.
ALTER TABLE deliveries ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;

DROP INDEX deliveries_pending;
CREATE INDEX deliveries_pending
    ON deliveries (workspace, destination, lane, available_at, id, deadline_at, lease_until)
    WHERE state = 'pending';

-- `done_to` is the last delivery that the job has been at: what stands up to there is never looked at again, so that a job
-- that is carried on after a crash sends nothing twice.
CREATE TABLE delivery_jobs (
    id BLOB NOT NULL PRIMARY KEY,
    workspace INTEGER NOT NULL,
    filter TEXT NOT NULL,
    to_destination TEXT,
    per_minute INTEGER,
    state TEXT NOT NULL,
    done_to BLOB NOT NULL,
    wanted INTEGER NOT NULL,
    requeued INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_jobs_open ON delivery_jobs (workspace, id) WHERE state = 'running';
