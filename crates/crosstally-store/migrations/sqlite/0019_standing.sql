-- Why the calls to a destination come to nothing, one after the other, while it is not paused: for whoever looks.
ALTER TABLE destination_states ADD COLUMN failing TEXT;

-- Whether the call with which a delivery arrived was refused in part later. It stays so if it is sent once more in vain.
ALTER TABLE deliveries ADD COLUMN arrived_in_part INTEGER NOT NULL DEFAULT 0;
