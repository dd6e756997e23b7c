-- Jobs over many deliveries, and lanes, so that a backlog or a replay does not hold up what is new.

-- 0 is new, 1 failed before or was made due by hand, 2 is sent once more by a job.
ALTER TABLE deliveries ADD COLUMN lane SMALLINT NOT NULL DEFAULT 0;

DROP INDEX deliveries_pending;
CREATE INDEX deliveries_pending ON deliveries (destination, workspace, lane, available_at, id, deadline_at)
    WHERE state = 'pending';

-- `done_to` is the last delivery that the job has been at: what stands up to there is never looked at again, so that a job
-- that is carried on after a crash sends nothing twice.
CREATE TABLE delivery_jobs (
    workspace BIGINT NOT NULL,
    id UUID NOT NULL,
    filter TEXT NOT NULL,
    to_destination TEXT COLLATE "C",
    per_minute BIGINT,
    state TEXT COLLATE "C" NOT NULL,
    done_to UUID NOT NULL,
    wanted BIGINT NOT NULL,
    requeued BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (id, workspace)
) WITH (fillfactor = 70);

CREATE INDEX delivery_jobs_open ON delivery_jobs (id, workspace) WHERE state = 'running';
