-- What waits to be published counts against the owner's limits. What waited before this expires uncounted.

-- +goose Up
ALTER TABLE asides ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE asides DROP COLUMN bytes;
