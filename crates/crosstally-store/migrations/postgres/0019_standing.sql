-- Destinations whose calls come to nothing, one after the other: for whoever looks. See `Outage`.
CREATE TABLE outages (
    workspace BIGINT NOT NULL,
    destination TEXT COLLATE "C" NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    since BIGINT NOT NULL,
    settings_digest TEXT NOT NULL,
    PRIMARY KEY (workspace, destination)
);

-- Whether the call with which a delivery arrived was refused in part later. It stays so if it is sent once more in vain.
ALTER TABLE deliveries ADD COLUMN arrived_in_part BOOLEAN NOT NULL DEFAULT FALSE;
