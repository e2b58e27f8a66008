<?php

declare(strict_types=1);

namespace App\Database;

use App\ConfigError;
use App\Files\Folder;
use PDO;

/** The database that DATABASE_URL names, connected when it is first needed. */
final class Connection
{
    private const DRIVERS = [
        'mysql' => 'mysql',
        'mariadb' => 'mysql',
        'pgsql' => 'pgsql',
        'postgres' => 'pgsql',
        'postgresql' => 'pgsql',
    ];

    private ?PDO $pdo = null;

    /** @param string $root the folder that a relative path of SQLite starts from */
    public function __construct(private readonly string $url, private readonly string $root)
    {
    }

    public function pdo(): PDO
    {
        return $this->pdo ??= str_starts_with($this->url, 'sqlite:') ? $this->sqlite() : $this->server();
    }

    /** sqlite, mysql or pgsql. */
    public function driver(): string
    {
        return $this->pdo()->getAttribute(PDO::ATTR_DRIVER_NAME);
    }

    /**
     * @param array<string|int, int|string|null> $values
     * @return list<array<string, mixed>>
     */
    public function rows(string $sql, array $values = []): array
    {
        $statement = $this->pdo()->prepare($sql);
        $statement->execute($values);
        return $statement->fetchAll();
    }

    /** @param array<string|int, int|string|null> $values */
    public function run(string $sql, array $values = []): void
    {
        $this->pdo()->prepare($sql)->execute($values);
    }

    private function sqlite(): PDO
    {
        $path = preg_replace('#^sqlite:(//(?=/))?#', '', $this->url);
        if ($path !== ':memory:') {
            $path = str_starts_with($path, '/') ? $path : "$this->root/$path";
            Folder::made(dirname($path));
        }
        $pdo = new PDO("sqlite:$path", options: self::options(5));
        $pdo->exec('PRAGMA journal_mode = WAL');
        $pdo->exec('PRAGMA foreign_keys = ON');
        return $pdo;
    }

    private function server(): PDO
    {
        $parts = parse_url($this->url) ?: [];
        $driver = self::DRIVERS[$parts['scheme'] ?? ''] ?? null;
        $host = trim(rawurldecode($parts['host'] ?? ''), '[]');
        $database = rawurldecode(ltrim($parts['path'] ?? '', '/'));
        parse_str($parts['query'] ?? '', $query);
        $sslMode = is_string($query['sslmode'] ?? null) ? $query['sslmode'] : '';
        // A semicolon or a space would begin another part of the DSN.
        $isBroken = preg_match('/[;\s]/', $host . $database . $sslMode) === 1;
        if ($driver === null || $host === '' || $database === '' || $isBroken) {
            throw new ConfigError('DATABASE_URL takes sqlite:path, mysql://user:password@host/name or pgsql://...');
        }
        $dsn = "$driver:host=$host;dbname=$database" . (isset($parts['port']) ? ";port={$parts['port']}" : '');
        $dsn .= $driver === 'mysql' ? ';charset=utf8mb4' : ';connect_timeout=3';
        $dsn .= $driver === 'pgsql' && $sslMode !== '' ? ";sslmode=$sslMode" : '';
        $user = rawurldecode($parts['user'] ?? '');
        return new PDO($dsn, $user, rawurldecode($parts['pass'] ?? ''), self::options(3));
    }

    /** @return array<int, mixed> */
    private static function options(int $timeoutSeconds): array
    {
        return [
            PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
            PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
            PDO::ATTR_EMULATE_PREPARES => false,
            PDO::ATTR_TIMEOUT => $timeoutSeconds,
        ];
    }
}
