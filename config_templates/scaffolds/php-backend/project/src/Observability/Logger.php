<?php

declare(strict_types=1);

namespace App\Observability;

/** Writes JSON lines to stderr, and keeps them to be shipped when the request is over. */
final class Logger
{
    private const LEVELS = ['debug' => 0, 'info' => 1, 'warn' => 2, 'error' => 3];
    private const MAX_MESSAGE = '/^.{0,4000}/s';

    public string $traceId = '';

    /** @var list<array<string, mixed>> */
    private array $entries = [];

    /** @param string $level the least grave level that is written */
    public function __construct(private readonly string $source, private readonly string $level)
    {
    }

    /** @param array<string, mixed> $attributes */
    public function debug(string $message, array $attributes = []): void
    {
        $this->log('debug', $message, $attributes);
    }

    /** @param array<string, mixed> $attributes */
    public function info(string $message, array $attributes = []): void
    {
        $this->log('info', $message, $attributes);
    }

    /** @param array<string, mixed> $attributes */
    public function warn(string $message, array $attributes = []): void
    {
        $this->log('warn', $message, $attributes);
    }

    /** @param array<string, mixed> $attributes */
    public function error(string $message, array $attributes = []): void
    {
        $this->log('error', $message, $attributes);
    }

    /** @return list<array<string, mixed>> what was logged since the last call */
    public function take(): array
    {
        $entries = $this->entries;
        $this->entries = [];
        return $entries;
    }

    /** @param array<string, mixed> $attributes */
    private function log(string $level, string $message, array $attributes): void
    {
        if (self::LEVELS[$level] < self::LEVELS[$this->level]) {
            return;
        }
        preg_match(self::MAX_MESSAGE, $message, $start);
        $entry = [
            // The ingest takes an entry once, however often it is sent.
            'id' => bin2hex(random_bytes(16)),
            'timestamp' => gmdate('Y-m-d\TH:i:s') . sprintf('.%03dZ', (int) (fmod(microtime(true), 1) * 1000)),
            'level' => $level,
            'message' => $start[0] === '' ? '(empty)' : $start[0],
            'source' => $this->source,
            'attributes' => (object) $attributes,
        ];
        if ($this->traceId !== '') {
            $entry['traceId'] = $this->traceId;
        }
        $this->entries[] = $entry;
        file_put_contents('php://stderr', self::line($entry));
    }

    /** @param array<string, mixed> $entry */
    public static function line(array $entry): string
    {
        $flags = JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR;
        return json_encode($entry, $flags) . "\n";
    }
}
