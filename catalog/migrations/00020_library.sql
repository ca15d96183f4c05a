-- What a library of pictures needs of a record. Times are Unix milliseconds.

-- +goose Up
ALTER TABLE records ADD COLUMN file TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN time BIGINT NOT NULL DEFAULT 0;
ALTER TABLE records ADD COLUMN owner TEXT NOT NULL DEFAULT '';
-- Which edition of the index holds the record; 0 is none.
ALTER TABLE records ADD COLUMN indexed BIGINT NOT NULL DEFAULT 0;
UPDATE records SET time = created;

CREATE UNIQUE INDEX records_file ON records (owner, file) WHERE file <> '';
CREATE INDEX records_time ON records (time, id);
CREATE INDEX records_owner ON records (owner, time, id);
CREATE INDEX records_public ON records (time, id) WHERE private = FALSE;
CREATE INDEX records_created ON records (created, id);
CREATE INDEX records_updated ON records (updated, id);
CREATE INDEX records_unindexed ON records (id) WHERE indexed = 0;

CREATE TABLE record_labels (
    record     TEXT             NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    source     TEXT             NOT NULL,
    name       TEXT             NOT NULL,
    category   TEXT             NOT NULL,
    confidence DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (record, source, category, name)
);

-- +goose Down
DROP TABLE record_labels;
DROP INDEX records_unindexed;
DROP INDEX records_updated;
DROP INDEX records_created;
DROP INDEX records_public;
DROP INDEX records_owner;
DROP INDEX records_time;
DROP INDEX records_file;
ALTER TABLE records DROP COLUMN indexed;
ALTER TABLE records DROP COLUMN owner;
ALTER TABLE records DROP COLUMN time;
ALTER TABLE records DROP COLUMN file;
