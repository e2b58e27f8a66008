<?php

declare(strict_types=1);

return static fn (string $id): array => [
    "CREATE TABLE IF NOT EXISTS data (
        id $id,
        owner_id BIGINT NOT NULL,
        title VARCHAR(200) NOT NULL,
        file_name VARCHAR(200),
        media_type VARCHAR(100),
        size BIGINT,
        stored_as CHAR(32),
        created_at VARCHAR(32) NOT NULL,
        UNIQUE (owner_id, id),
        FOREIGN KEY (owner_id) REFERENCES users (id) ON DELETE CASCADE
    )",
];
