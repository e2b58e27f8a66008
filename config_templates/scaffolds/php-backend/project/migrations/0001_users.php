<?php

declare(strict_types=1);

// Statements can be repeated, as MariaDB keeps what a migration did before it failed. UNIQUE with the
// id is the form of an index that all three databases know within CREATE TABLE.
return static fn (string $id): array => [
    "CREATE TABLE IF NOT EXISTS users (
        id $id,
        email VARCHAR(254) NOT NULL UNIQUE,
        password_hash VARCHAR(255) NOT NULL,
        role VARCHAR(16) NOT NULL,
        created_at VARCHAR(32) NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS sign_in_failures (
        id $id,
        who CHAR(64) NOT NULL,
        failed_at BIGINT NOT NULL,
        UNIQUE (who, failed_at, id)
    )",
];
