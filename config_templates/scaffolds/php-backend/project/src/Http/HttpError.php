<?php

declare(strict_types=1);

namespace App\Http;

use RuntimeException;

/** A refusal that the client is told about: {"error": {"code", "message"}}. */
final class HttpError extends RuntimeException
{
    /** @param array<string, string> $headers */
    public function __construct(
        public readonly int $status,
        public readonly string $errorCode,
        string $message,
        public readonly array $headers = [],
    ) {
        parent::__construct($message);
    }
}
