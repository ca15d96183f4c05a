-- What records are found by. Tables without row ids are their primary keys, which is half the bytes.
CREATE TABLE record_keys (
    key    TEXT   NOT NULL,
    time   BIGINT NOT NULL,
    record TEXT   NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    PRIMARY KEY (key, time, record)
) WITHOUT ROWID;
CREATE INDEX record_keys_of ON record_keys (record);

CREATE TABLE terms (
    term TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE record_terms (
    term   TEXT NOT NULL REFERENCES terms (term),
    record TEXT NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    PRIMARY KEY (term, record)
) WITHOUT ROWID;
CREATE INDEX record_terms_of ON record_terms (record);

CREATE TABLE grams (
    gram TEXT NOT NULL,
    term TEXT NOT NULL,
    PRIMARY KEY (gram, term)
) WITHOUT ROWID;
