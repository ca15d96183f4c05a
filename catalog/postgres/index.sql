-- Texts are sorted and compared by their bytes, whatever the database's own order is: the other database and Go do so.
ALTER TABLE records
    ALTER COLUMN id TYPE TEXT COLLATE "C",
    ALTER COLUMN version TYPE TEXT COLLATE "C",
    ALTER COLUMN sha256 TYPE TEXT COLLATE "C",
    ALTER COLUMN md5 TYPE TEXT COLLATE "C",
    ALTER COLUMN format TYPE TEXT COLLATE "C",
    ALTER COLUMN name TYPE TEXT COLLATE "C",
    ALTER COLUMN tags TYPE TEXT COLLATE "C",
    ALTER COLUMN data TYPE TEXT COLLATE "C",
    ALTER COLUMN file TYPE TEXT COLLATE "C",
    ALTER COLUMN owner TYPE TEXT COLLATE "C";
ALTER TABLE record_labels ALTER COLUMN record TYPE TEXT COLLATE "C";
ALTER TABLE asides ALTER COLUMN id TYPE TEXT COLLATE "C";

-- What records are found by.
CREATE TABLE record_keys (
    key    TEXT COLLATE "C" NOT NULL,
    time   BIGINT           NOT NULL,
    record TEXT COLLATE "C" NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    PRIMARY KEY (key, time, record)
);
CREATE INDEX record_keys_of ON record_keys (record);

CREATE TABLE terms (
    term TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

CREATE TABLE record_terms (
    term   TEXT COLLATE "C" NOT NULL REFERENCES terms (term),
    record TEXT COLLATE "C" NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    PRIMARY KEY (term, record)
);
CREATE INDEX record_terms_of ON record_terms (record, term);

CREATE TABLE grams (
    gram TEXT COLLATE "C" NOT NULL,
    term TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (gram, term)
);
