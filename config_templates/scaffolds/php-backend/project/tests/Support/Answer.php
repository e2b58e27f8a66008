<?php

declare(strict_types=1);

namespace App\Tests\Support;

/** What came back. */
final readonly class Answer
{
    /** @param array<string, string> $headers by lower-case name */
    public function __construct(public int $status, public array $headers, public string $body)
    {
    }

    /** @return array<string, mixed> */
    public function json(): array
    {
        return json_decode($this->body, true, flags: JSON_THROW_ON_ERROR);
    }
}
