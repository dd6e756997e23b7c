-- Under which request with a key of its own a job was begun: whoever sends that request again gets this job and no second one,
-- also if the answer to the first was never kept.
ALTER TABLE delivery_jobs ADD COLUMN begun_under BYTEA;

CREATE UNIQUE INDEX delivery_jobs_begun ON delivery_jobs (begun_under, workspace) WHERE begun_under IS NOT NULL;
