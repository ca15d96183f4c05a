-- The right to upload one source once. Times are Unix milliseconds; 0 is never.

-- +goose Up
CREATE TABLE grants (
    token_hash    TEXT    NOT NULL PRIMARY KEY,
    id            TEXT    NOT NULL,
    replaces      BOOLEAN NOT NULL,
    expires       BIGINT  NOT NULL,
    claimed_until BIGINT  NOT NULL,
    attempt       BIGINT  NOT NULL,
    used          BIGINT  NOT NULL,
    upload        TEXT    NOT NULL,
    receipt       TEXT    NOT NULL
);

-- At most one unused grant an id: the second request for a token loses here, whatever the timing.
CREATE UNIQUE INDEX grants_unused ON grants (id) WHERE used = 0;

CREATE INDEX grants_expires ON grants (expires);

-- +goose Down
DROP TABLE grants;
