-- Destinations whose calls come to nothing, one after the other: for whoever looks. See `Outage`.
CREATE TABLE outages (
    workspace INTEGER NOT NULL,
    destination TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    since INTEGER NOT NULL,
    settings_digest TEXT NOT NULL,
    PRIMARY KEY (workspace, destination)
) STRICT, WITHOUT ROWID;

-- Whether the call with which a delivery arrived was refused in part later. It stays so if it is sent once more in vain.
ALTER TABLE deliveries ADD COLUMN arrived_in_part INTEGER NOT NULL DEFAULT 0;
