<?php

declare(strict_types=1);

namespace App\Tests;

use App\Tests\Support\Browser;
use App\Tests\Support\Process;
use App\Tests\Support\ServerTestCase;

final class StatusTest extends ServerTestCase
{
    public function testHealthIsWellWhileTheDatabaseAnswers(): void
    {
        $answer = self::stranger()->send('GET', '/health');
        self::assertSame(200, $answer->status);
        self::assertSame(['status' => 'ok', 'checks' => ['database' => 'ok', 'storage' => 'ok']], $answer->json());
        self::assertArrayNotHasKey('set-cookie', $answer->headers);
    }

    public function testWithoutADatabaseHealthIs503AndErrorsTellNothing(): void
    {
        $folder = Process::temporaryFolder();
        $server = new Process($folder, dirname(__DIR__) . '/public/index.php', [
            'DATABASE_URL' => 'mysql://someone:secret-7@127.0.0.1:1/shop',
            'VAR_DIR' => $folder,
        ]);
        $browser = new Browser($server->port);
        $health = $browser->send('GET', '/health');
        $browser->csrf = $browser->send('GET', '/api/session')->json()['csrfToken'];
        $failed = $browser->sendJson('POST', '/api/session', ['email' => 'a@example.com', 'password' => 'x']);
        $server->stop();
        $log = (string) file_get_contents("$folder/stderr");
        Process::removeFolder($folder);

        self::assertSame(503, $health->status);
        self::assertSame('failing', $health->json()['checks']['database']);
        self::assertRefused(503, 'unavailable', $failed);
        self::assertStringContainsString('"level":"error"', $log);
        self::assertStringNotContainsString('secret-7', $log);
    }

    public function testMetricsCountByRouteAndNotByAddress(): void
    {
        $browser = self::stranger();
        $browser->send('GET', '/api/data/1');
        $browser->send('GET', '/api/data/2');
        $browser->send('GET', '/nowhere"{}');
        $text = $browser->send('GET', '/metrics')->body;
        $labels = 'method="GET",route="/api/data/{id}"';
        self::assertStringContainsString("http_requests_total{{$labels},status=\"401\"} 2\n", $text);
        self::assertStringContainsString("http_request_duration_seconds_count{{$labels}} 2\n", $text);
        self::assertStringContainsString('route="unmatched",status="404"} 1', $text);
        self::assertStringNotContainsString('nowhere', $text);
    }

    public function testErrorsHaveOneShape(): void
    {
        $browser = self::stranger();
        self::assertRefused(404, 'not_found', $browser->send('GET', '/nowhere'));
        $answer = $browser->send('POST', '/health');
        self::assertRefused(405, 'method_not_allowed', $answer);
        self::assertSame('GET', $answer->headers['allow']);
    }

    public function testARequestIdComesBackAndABadOneIsReplaced(): void
    {
        $answer = self::stranger()->send('GET', '/health', headers: ['X-Request-Id' => 'abc-1']);
        self::assertSame('abc-1', $answer->headers['x-request-id']);
        $answer = self::stranger()->send('GET', '/health', headers: ['X-Request-Id' => '"<x>"']);
        self::assertMatchesRegularExpression('/^[0-9a-f]{32}$/', $answer->headers['x-request-id']);
    }

    public function testEveryLineOfTheLogIsJson(): void
    {
        self::stranger()->send('GET', '/api/session?a="b"', headers: ['X-Request-Id' => 'abc-2']);
        $lines = file(self::$folder . '/stderr', FILE_IGNORE_NEW_LINES) ?: [];
        $entries = array_map('json_decode', preg_grep('/^\{/', $lines) ?: []);
        $found = array_values(array_filter($entries, static fn ($each): bool => ($each->traceId ?? '') === 'abc-2'));
        self::assertCount(1, $found);
        self::assertSame('GET /api/session 200', $found[0]->message);
        self::assertSame(200, $found[0]->attributes->status);
    }
}
