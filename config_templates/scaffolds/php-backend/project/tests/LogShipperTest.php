<?php

declare(strict_types=1);

namespace App\Tests;

use App\Observability\LogShipper;
use App\Tests\Support\Process;
use PHPUnit\Framework\TestCase;

final class LogShipperTest extends TestCase
{
    private string $folder;
    private Process $ingest;
    private LogShipper $shipper;

    protected function setUp(): void
    {
        $this->folder = Process::temporaryFolder();
        $this->ingestAnswers(202);
        $this->ingest = new Process($this->folder, __DIR__ . '/Support/ingest.php', ['FOLDER' => $this->folder]);
        $this->shipper = new LogShipper("http://127.0.0.1:{$this->ingest->port}", 'a/b 1', 'token', $this->folder);
    }

    protected function tearDown(): void
    {
        $this->ingest->stop();
        Process::removeFolder($this->folder);
    }

    public function testEntriesAreSentWithTheToken(): void
    {
        $this->shipper->ship([['id' => '1', 'message' => 'käse']]);
        [$request] = $this->requests();
        self::assertSame('/api/services/a%2Fb%201/logs', $request['path']);
        self::assertSame('Bearer token', $request['authorization']);
        self::assertSame([['id' => '1', 'message' => 'käse']], $request['body']['entries']);
    }

    public function testWhatIsNotTakenWaitsAndGoesWithTheNext(): void
    {
        $this->ingestAnswers(503);
        $this->shipper->ship([['id' => '1']]);
        $this->ingestAnswers(202);
        // Nothing is tried so soon after a failure.
        $this->shipper->ship([['id' => '2']]);
        self::assertCount(1, $this->requests());

        touch("$this->folder/log-spool.pause", time() - 60);
        $this->shipper->ship([['id' => '3']]);
        $arrived = array_map(fn (array $each) => array_column($each['body']['entries'], 'id'), $this->requests());
        self::assertSame([['1'], ['3'], ['1', '2']], $arrived);

        $this->shipper->ship([['id' => '4']]);
        self::assertCount(4, $this->requests());
        self::assertSame(0, filesize("$this->folder/log-spool.jsonl"));
    }

    public function testWhatIsRefusedForGoodIsNotSentAgain(): void
    {
        $this->ingestAnswers(400);
        $this->shipper->ship([['id' => '1']]);
        $this->ingestAnswers(202);
        $this->shipper->ship([['id' => '2']]);
        self::assertCount(2, $this->requests());
    }

    public function testALineThatWasCutOffIsLeftOut(): void
    {
        file_put_contents("$this->folder/log-spool.jsonl", "{\"id\":\"1\"}\n{\"id\":");
        $this->shipper->ship([['id' => '2']]);
        self::assertSame([['id' => '1']], $this->requests()[1]['body']['entries']);
    }

    public function testAnIngestThatIsAwayCostsLittleTime(): void
    {
        $this->ingest->stop();
        $started = microtime(true);
        $this->shipper->ship([['id' => '1']]);
        self::assertLessThan(2.5, microtime(true) - $started);
        self::assertSame("{\"id\":\"1\"}\n", file_get_contents("$this->folder/log-spool.jsonl"));
    }

    private function ingestAnswers(int $status): void
    {
        file_put_contents("$this->folder/status", (string) $status);
    }

    /** @return list<array<string, mixed>> */
    private function requests(): array
    {
        $lines = file("$this->folder/requests", FILE_IGNORE_NEW_LINES) ?: [];
        return array_map(static fn (string $line): array => json_decode($line, true), $lines);
    }
}
