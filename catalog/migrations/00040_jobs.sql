-- What is to be done in the background, until it is done. Times are Unix milliseconds; 0 is never.

-- +goose Up

-- state is due (it can be leased at due; while it is leased, due is when the lease runs out), done (kept for its batch), or dead.
CREATE TABLE jobs (
    id       BIGINT NOT NULL PRIMARY KEY,
    kind     TEXT   NOT NULL,
    subject  TEXT   NOT NULL,
    version  TEXT   NOT NULL,
    payload  TEXT   NOT NULL,
    digest   TEXT   NOT NULL,
    batch    TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    due      BIGINT NOT NULL,
    owner    TEXT   NOT NULL,
    attempts BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    settled  BIGINT NOT NULL,
    reason   TEXT   NOT NULL,
    result   TEXT   NOT NULL
);

CREATE UNIQUE INDEX jobs_once ON jobs (kind, subject, version, digest);
CREATE INDEX jobs_due ON jobs (kind, due, id) WHERE state = 'due';
CREATE INDEX jobs_dead ON jobs (kind, id) WHERE state = 'dead';
CREATE INDEX jobs_batch ON jobs (batch, id) WHERE batch <> '';
CREATE INDEX jobs_settled ON jobs (settled) WHERE state <> 'due';

-- Jobs that were asked for together: how many are neither done nor dead, and when there were none left.
CREATE TABLE job_batches (
    id      TEXT   NOT NULL PRIMARY KEY,
    subject TEXT   NOT NULL,
    pending BIGINT NOT NULL,
    ended   BIGINT NOT NULL
);

CREATE INDEX job_batches_ended ON job_batches (ended) WHERE ended > 0;

-- +goose Down
DROP TABLE job_batches;
DROP TABLE jobs;
