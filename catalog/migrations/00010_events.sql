-- What subscribers are to be told, until they have been. Times are Unix milliseconds; 0 is never.

-- +goose Up

-- One row. Whoever changes what follows locks it first, so that events are numbered in the order in which they are committed.
CREATE TABLE event_counter (
    last BIGINT NOT NULL
);
INSERT INTO event_counter (last) VALUES (0);

CREATE TABLE events (
    seq    BIGINT NOT NULL PRIMARY KEY,
    id     TEXT   NOT NULL UNIQUE,
    kind   TEXT   NOT NULL,
    source TEXT   NOT NULL,
    time   BIGINT NOT NULL,
    data   TEXT   NOT NULL
);

CREATE INDEX events_time ON events (time);

-- state is held (behind an earlier one of its source), due, delivered, or dead. Of one endpoint and source one row is due when
-- any is held, and never two.
CREATE TABLE deliveries (
    endpoint TEXT   NOT NULL,
    seq      BIGINT NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    source   TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    due      BIGINT NOT NULL,
    since    BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    settled  BIGINT NOT NULL,
    reason   TEXT   NOT NULL,
    PRIMARY KEY (endpoint, seq)
);

CREATE INDEX deliveries_of ON deliveries (seq);
CREATE INDEX deliveries_due ON deliveries (endpoint, due, seq) WHERE state = 'due';
CREATE UNIQUE INDEX deliveries_head ON deliveries (endpoint, source) WHERE state = 'due';
CREATE INDEX deliveries_line ON deliveries (endpoint, source, seq) WHERE state IN ('due', 'held');
CREATE INDEX deliveries_dead ON deliveries (seq) WHERE state = 'dead';

-- +goose Down
DROP TABLE deliveries;
DROP TABLE events;
DROP TABLE event_counter;
