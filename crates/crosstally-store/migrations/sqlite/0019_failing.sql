-- Why the calls to a destination come to nothing, one after the other, while it is not paused: for whoever looks.
ALTER TABLE destination_states ADD COLUMN failing TEXT;
