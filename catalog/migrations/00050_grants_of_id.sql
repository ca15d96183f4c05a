-- Uploads in numbers are confirmed by id.

-- +goose Up
CREATE INDEX grants_id ON grants (id);

-- +goose Down
DROP INDEX grants_id;
