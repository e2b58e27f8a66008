<?php

declare(strict_types=1);

namespace App\Tests\Support;

use RuntimeException;

/** PHP's development server, with a folder for what it writes. */
final class Process
{
    public readonly int $port;

    /** @var resource */
    private $process;

    /** @param array<string, string> $environment */
    public function __construct(public readonly string $folder, string $script, array $environment = [])
    {
        $probe = stream_socket_server('tcp://127.0.0.1:0');
        $this->port = (int) substr((string) strrchr((string) stream_socket_get_name($probe, false), ':'), 1);
        fclose($probe);
        $this->process = proc_open(
            // A PHP without php.ini would print its warnings before the answer.
            [PHP_BINARY, '-d', 'display_errors=0', '-q', '-S', "127.0.0.1:$this->port", '-t', dirname($script), $script],
            [['file', '/dev/null', 'r'], ['file', "$folder/stdout", 'a'], ['file', "$folder/stderr", 'a']],
            $pipes,
            dirname(__DIR__, 2),
            $environment + ['PATH' => (string) getenv('PATH')],
        );
        for ($attempt = 0; !($socket = @fsockopen('127.0.0.1', $this->port)); $attempt++) {
            $attempt < 200 || throw new RuntimeException((string) file_get_contents("$folder/stderr"));
            usleep(20_000);
        }
        fclose($socket);
    }

    public function stop(): void
    {
        if (is_resource($this->process)) {
            proc_terminate($this->process, 9);
            proc_close($this->process);
        }
    }

    public static function temporaryFolder(): string
    {
        $folder = sys_get_temp_dir() . '/app-' . bin2hex(random_bytes(8));
        mkdir($folder, 0700);
        return $folder;
    }

    public static function removeFolder(string $folder): void
    {
        foreach (array_diff(scandir($folder) ?: [], ['.', '..']) as $name) {
            is_dir("$folder/$name") ? self::removeFolder("$folder/$name") : unlink("$folder/$name");
        }
        rmdir($folder);
    }
}
