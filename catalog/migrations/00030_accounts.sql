-- Who may do what, and how much of it. Times are Unix milliseconds; 0 is never.

-- +goose Up

-- Keys of the API. hash is that of the secret, former that of the one before it, which is good until former_until.
CREATE TABLE api_keys (
    id           TEXT   NOT NULL PRIMARY KEY,
    name         TEXT   NOT NULL,
    scopes       TEXT   NOT NULL,
    owner        TEXT   NOT NULL,
    created      BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    used         BIGINT NOT NULL,
    rotated      BIGINT NOT NULL,
    hash         TEXT   NOT NULL UNIQUE,
    former       TEXT   NOT NULL,
    former_until BIGINT NOT NULL
);

CREATE UNIQUE INDEX api_keys_former ON api_keys (former) WHERE former <> '';
CREATE INDEX api_keys_owner ON api_keys (owner) WHERE owner <> '';

-- Users who have pictures. A limit of -1 is that of account_limits, 0 none. pictures and bytes count records and what is held for
-- uploads under way.
CREATE TABLE accounts (
    owner          TEXT    NOT NULL PRIMARY KEY,
    created        BIGINT  NOT NULL,
    limit_pictures BIGINT  NOT NULL,
    limit_bytes    BIGINT  NOT NULL,
    pictures       BIGINT  NOT NULL,
    bytes          BIGINT  NOT NULL,
    deleting       BOOLEAN NOT NULL
);

-- One row: the limits of those who have none of their own.
CREATE TABLE account_limits (
    pictures BIGINT NOT NULL,
    bytes    BIGINT NOT NULL
);
INSERT INTO account_limits (pictures, bytes) VALUES (0, 0);

-- Accounts that are being deleted, or were a while ago. Whoever has the lease deletes.
CREATE TABLE account_deletions (
    owner   TEXT   NOT NULL PRIMARY KEY,
    asked   BIGINT NOT NULL,
    lease   TEXT   NOT NULL,
    until   BIGINT NOT NULL,
    removed BIGINT NOT NULL,
    done    BIGINT NOT NULL
);

CREATE INDEX account_deletions_due ON account_deletions (until) WHERE done = 0;

-- What a change holds of its account until it ends.
ALTER TABLE changes ADD COLUMN held_by TEXT NOT NULL DEFAULT '';
ALTER TABLE changes ADD COLUMN held_pictures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE changes ADD COLUMN held_bytes BIGINT NOT NULL DEFAULT 0;
CREATE INDEX changes_held ON changes (held_by) WHERE held_by <> '';

ALTER TABLE asides ADD COLUMN owner TEXT NOT NULL DEFAULT '';
CREATE INDEX asides_owner ON asides (owner, id) WHERE owner <> '';

-- +goose Down
DROP INDEX asides_owner;
ALTER TABLE asides DROP COLUMN owner;
DROP INDEX changes_held;
ALTER TABLE changes DROP COLUMN held_bytes;
ALTER TABLE changes DROP COLUMN held_pictures;
ALTER TABLE changes DROP COLUMN held_by;
DROP TABLE account_deletions;
DROP TABLE account_limits;
DROP TABLE accounts;
DROP TABLE api_keys;
