<?php

declare(strict_types=1);

namespace App\Observability;

/**
 * Sends log entries to the ingest of CMS Services.
 *
 * What it doesn't take now waits in a file, at most MAX_SPOOL_BYTES of it, and goes along with a later
 * request. After a failure nothing is tried for PAUSE_SECONDS, so that no request waits for a server
 * that is away.
 */
final readonly class LogShipper
{
    public const MAX_SPOOL_BYTES = 5_000_000;
    private const MAX_BATCH = 500;
    private const MAX_BATCH_BYTES = 500_000;
    private const TIMEOUT_SECONDS = 2.0;
    private const PAUSE_SECONDS = 15;
    // Sending these again would be refused again.
    private const REFUSED_FOR_GOOD = [400, 413, 422];

    public function __construct(
        private string $cmsUrl,
        private string $serviceId,
        private string $token,
        private string $folder,
    ) {
    }

    public function isOn(): bool
    {
        return $this->cmsUrl !== '' && $this->serviceId !== '' && $this->token !== '';
    }

    /** @param list<array<string, mixed>> $entries */
    public function ship(array $entries): void
    {
        if (!$this->isOn() || $entries === []) {
            return;
        }
        $lines = array_map(Logger::line(...), $entries);
        if ($this->isPaused() || !$this->send(array_slice($lines, 0, self::MAX_BATCH))) {
            $this->spool($lines);
            return;
        }
        if (count($lines) > self::MAX_BATCH) {
            $this->spool(array_slice($lines, self::MAX_BATCH));
        }
        $this->sendSpooled();
    }

    private function sendSpooled(): void
    {
        $file = "$this->folder/log-spool.jsonl";
        if (!is_file($file)) {
            return;
        }
        // One process at a time sends them; the others don't wait.
        $turn = fopen("$this->folder/log-spool.turn", 'c');
        if ($turn === false || !flock($turn, LOCK_EX | LOCK_NB)) {
            return;
        }
        $spool = fopen($file, 'c+');
        flock($spool, LOCK_SH);
        $lines = [];
        $size = 0;
        while (count($lines) < self::MAX_BATCH && $size < self::MAX_BATCH_BYTES && ($line = fgets($spool)) !== false) {
            $lines[] = $line;
            $size += strlen($line);
        }
        flock($spool, LOCK_UN);
        // They stay in the file until they are taken: whoever dies between loses nothing.
        if ($lines !== [] && $this->send($lines)) {
            flock($spool, LOCK_EX);
            $rest = stream_get_contents($spool, offset: $size);
            ftruncate($spool, 0);
            rewind($spool);
            fwrite($spool, (string) $rest);
        }
        fclose($spool);
        fclose($turn);
    }

    /** @param list<string> $lines */
    private function spool(array $lines): void
    {
        $spool = fopen("$this->folder/log-spool.jsonl", 'a');
        flock($spool, LOCK_EX);
        $text = implode('', $lines);
        if (fstat($spool)['size'] + strlen($text) <= self::MAX_SPOOL_BYTES) {
            fwrite($spool, $text);
        } else {
            file_put_contents('php://stderr', Logger::line([
                'level' => 'warn',
                'message' => 'the log spool is full; entries go to stderr alone',
                'attributes' => ['entries' => count($lines)],
            ]));
        }
        fclose($spool);
    }

    /**
     * Whether these need not be sent again.
     *
     * @param list<string> $lines
     */
    private function send(array $lines): bool
    {
        // A line that was cut off when its process died is no JSON.
        $whole = array_filter($lines, static fn (string $line): bool => json_decode($line) !== null);
        $context = stream_context_create(['http' => [
            'method' => 'POST',
            'header' => ["Authorization: Bearer $this->token", 'Content-Type: application/json'],
            'content' => '{"entries":[' . implode(',', $whole) . ']}',
            'timeout' => self::TIMEOUT_SECONDS,
            'follow_location' => 0,
            'ignore_errors' => true,
        ]]);
        $url = $this->cmsUrl . '/api/services/' . rawurlencode($this->serviceId) . '/logs';
        $answer = @fopen($url, 'r', false, $context);
        $headers = $answer === false ? [] : stream_get_meta_data($answer)['wrapper_data'];
        $status = (int) (explode(' ', $headers[0] ?? '')[1] ?? 0);
        if ($status >= 200 && $status < 300 || in_array($status, self::REFUSED_FOR_GOOD, true)) {
            return true;
        }
        touch("$this->folder/log-spool.pause");
        return false;
    }

    private function isPaused(): bool
    {
        $mark = "$this->folder/log-spool.pause";
        clearstatcache(true, $mark);
        return is_file($mark) && filemtime($mark) > time() - self::PAUSE_SECONDS;
    }
}
