-- What was taken back and is still to be followed: one row for each conversion, gone once it was followed.
CREATE TABLE open_reversals (
    workspace BIGINT NOT NULL,
    conversion UUID NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (conversion, workspace)
);

-- Events that tell of a reversal, beside those of the goals that their conversion has met.
CREATE TABLE adjustments (
    workspace BIGINT NOT NULL,
    conversion UUID NOT NULL,
    goal_event UUID NOT NULL,
    PRIMARY KEY (conversion, goal_event, workspace)
);

-- What deliveries stated where a reversal cannot be told, and what is left of it, in minor units.
CREATE TABLE overstated (
    workspace BIGINT NOT NULL,
    delivery UUID NOT NULL,
    destination TEXT COLLATE "C" NOT NULL,
    campaign TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    stated BIGINT NOT NULL,
    remaining BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (delivery, workspace)
);
