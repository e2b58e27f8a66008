<?php

declare(strict_types=1);

namespace App\Observability;

/** Counts requests in a locked file, since requests share no memory; shows them to Prometheus. */
final readonly class Metrics
{
    private const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
    private const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

    public function __construct(private string $file)
    {
    }

    /** @param string $route the route's path, with its variables as they stand there: few, and known */
    public function observe(string $method, string $route, int $status, float $seconds): void
    {
        $method = in_array($method, self::METHODS, true) ? $method : 'other';
        $file = fopen($this->file, 'c+');
        flock($file, LOCK_EX);
        $state = self::read($file);
        $state['requests'][$route][$method][$status] = ($state['requests'][$route][$method][$status] ?? 0) + 1;
        $times = $state['durations'][$route][$method] ?? ['sum' => 0.0, 'buckets' => []];
        $times['sum'] += $seconds;
        $bucket = count(array_filter(self::BUCKETS, static fn (float $limit): bool => $limit < $seconds));
        $times['buckets'] += array_fill(0, count(self::BUCKETS) + 1, 0);
        $times['buckets'][$bucket]++;
        $state['durations'][$route][$method] = $times;
        ftruncate($file, 0);
        rewind($file);
        fwrite($file, (string) json_encode($state));
        fclose($file);
    }

    /** The text format of Prometheus, version 0.0.4. */
    public function render(): string
    {
        $state = $this->load();
        $lines = [
            '# HELP http_requests_total Requests that were answered.',
            '# TYPE http_requests_total counter',
        ];
        foreach ($state['requests'] as $route => $methods) {
            foreach ($methods as $method => $statuses) {
                foreach ($statuses as $status => $number) {
                    $lines[] = "http_requests_total{method=\"$method\",route=\"$route\",status=\"$status\"} $number";
                }
            }
        }
        $lines[] = '# HELP http_request_duration_seconds How long answering took.';
        $lines[] = '# TYPE http_request_duration_seconds histogram';
        foreach ($state['durations'] as $route => $methods) {
            foreach ($methods as $method => $times) {
                array_push($lines, ...self::histogram("method=\"$method\",route=\"$route\"", $times));
            }
        }
        return implode("\n", $lines) . "\n";
    }

    /**
     * @param array{sum: float, buckets: array<int, int>} $times
     * @return list<string>
     */
    private static function histogram(string $labels, array $times): array
    {
        $lines = [];
        $number = 0;
        foreach ([...self::BUCKETS, '+Inf'] as $index => $limit) {
            $number += $times['buckets'][$index];
            $lines[] = "http_request_duration_seconds_bucket{{$labels},le=\"$limit\"} $number";
        }
        $lines[] = "http_request_duration_seconds_sum{{$labels}} {$times['sum']}";
        $lines[] = "http_request_duration_seconds_count{{$labels}} $number";
        return $lines;
    }

    /** @return array{requests: array<string, mixed>, durations: array<string, mixed>} */
    private function load(): array
    {
        $file = fopen($this->file, 'c+');
        flock($file, LOCK_SH);
        $state = self::read($file);
        fclose($file);
        return $state;
    }

    /**
     * @param resource $file
     * @return array{requests: array<string, mixed>, durations: array<string, mixed>}
     */
    private static function read($file): array
    {
        $state = json_decode((string) stream_get_contents($file), true);
        // Counters may start anew, as after any restart.
        return is_array($state) ? $state : ['requests' => [], 'durations' => []];
    }
}
