-- What has been uploaded: one row a source. Times are Unix milliseconds.

-- +goose Up
CREATE TABLE records (
    id      TEXT   NOT NULL PRIMARY KEY,
    version TEXT   NOT NULL,
    sha256  TEXT   NOT NULL,
    bytes   BIGINT NOT NULL,
    format  TEXT   NOT NULL,
    width   BIGINT NOT NULL,
    height  BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);

-- +goose Down
DROP TABLE records;
