-- What the owner of a picture says of it is its data; metadata is what a file says of itself.

-- +goose Up
ALTER TABLE records RENAME COLUMN metadata TO data;

-- +goose Down
ALTER TABLE records RENAME COLUMN data TO metadata;
