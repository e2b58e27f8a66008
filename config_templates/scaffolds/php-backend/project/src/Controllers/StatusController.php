<?php

declare(strict_types=1);

namespace App\Controllers;

use App\Config;
use App\Database\Connection;
use App\Http\HttpError;
use App\Http\Request;
use App\Http\Response;
use App\Observability\Metrics;
use Throwable;

/** What probes and Prometheus ask. */
final readonly class StatusController
{
    public function __construct(private Config $config, private Connection $connection, private Metrics $metrics)
    {
    }

    public function health(): Response
    {
        $checks = [
            'database' => $this->databaseAnswers() ? 'ok' : 'failing',
            'storage' => is_writable($this->config->varFolder) ? 'ok' : 'failing',
        ];
        $isWell = !in_array('failing', $checks, true);
        return Response::json(['status' => $isWell ? 'ok' : 'failing', 'checks' => $checks], $isWell ? 200 : 503);
    }

    public function metrics(Request $request): Response
    {
        $token = $this->config->metricsToken;
        if ($token !== '' && !hash_equals("Bearer $token", $request->header('authorization'))) {
            throw new HttpError(401, 'unauthenticated', 'The metrics take a token.', ['WWW-Authenticate' => 'Bearer']);
        }
        return new Response(200, $this->metrics->render(), ['Content-Type' => 'text/plain; version=0.0.4']);
    }

    private function databaseAnswers(): bool
    {
        try {
            // A table that the first migration makes: without it nothing else works either.
            $this->connection->rows('SELECT id FROM users LIMIT 1');
            return true;
        } catch (Throwable) {
            return false;
        }
    }
}
