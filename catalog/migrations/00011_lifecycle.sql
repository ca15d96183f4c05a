-- What a source's life needs beside its upload. Times are Unix milliseconds; 0 is never.

-- +goose Up
ALTER TABLE records ADD COLUMN md5 TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN placeholder TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN tags TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN private BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE records ADD COLUMN metadata TEXT NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN policy TEXT NOT NULL DEFAULT '';

-- One row for each source that is being changed. Whoever owns the row may change the source; when its time has run out the next
-- one takes it over, and first finishes or undoes what the intent says.
CREATE TABLE changes (
    id     TEXT   NOT NULL PRIMARY KEY,
    owner  TEXT   NOT NULL,
    until  BIGINT NOT NULL,
    intent TEXT   NOT NULL
);

CREATE INDEX changes_until ON changes (until);

-- Sources that are kept and not served, by where they are kept.
CREATE TABLE asides (
    area    TEXT   NOT NULL,
    id      TEXT   NOT NULL,
    object  TEXT   NOT NULL,
    record  TEXT   NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (area, id)
);

CREATE INDEX asides_expires ON asides (area, expires);
CREATE INDEX asides_object ON asides (area, object);

-- +goose Down
DROP TABLE asides;
DROP TABLE changes;
ALTER TABLE grants DROP COLUMN policy;
ALTER TABLE records DROP COLUMN metadata;
ALTER TABLE records DROP COLUMN private;
ALTER TABLE records DROP COLUMN tags;
ALTER TABLE records DROP COLUMN name;
ALTER TABLE records DROP COLUMN placeholder;
ALTER TABLE records DROP COLUMN md5;
