<?php

declare(strict_types=1);

namespace App;

/**
 * Every setting, read from the environment. What a .env file in the project says counts where the
 * environment says nothing.
 */
final readonly class Config
{
    public string $root;
    public string $name;
    public string $databaseUrl;
    public string $varFolder;
    public string $logLevel;
    public bool $secureCookies;
    public int $uploadMaxBytes;
    public string $metricsToken;
    public string $cmsUrl;
    public string $serviceId;
    public string $ingestToken;

    /**
     * @param array<string, string> $values
     * @throws ConfigError for a value that can't be used; its message names the variable
     */
    public function __construct(string $root, array $values)
    {
        $service = self::serviceFile($root . '/service.json');
        $get = static fn (string $name, string $default): string =>
            ($values[$name] ?? '') === '' ? $default : $values[$name];

        $this->root = $root;
        $this->name = $service['name'];
        $folder = rtrim($get('VAR_DIR', 'var'), '/');
        $this->varFolder = str_starts_with($folder, '/') ? $folder : "$root/$folder";
        $this->databaseUrl = $get('DATABASE_URL', 'sqlite:' . $this->varFolder . '/app.sqlite3');
        $this->logLevel = self::oneOf('LOG_LEVEL', $get('LOG_LEVEL', 'info'), ['debug', 'info', 'warn', 'error']);
        $environment = self::oneOf('APP_ENV', $get('APP_ENV', 'production'), ['production', 'development']);
        $secure = $get('COOKIE_SECURE', $environment === 'production' ? 'true' : 'false');
        $this->secureCookies = self::oneOf('COOKIE_SECURE', $secure, ['true', 'false']) === 'true';
        $this->uploadMaxBytes = self::number('UPLOAD_MAX_BYTES', $get('UPLOAD_MAX_BYTES', '2000000'));
        $this->metricsToken = $get('METRICS_TOKEN', '');
        $this->cmsUrl = rtrim($get('CMS_URL', ''), '/');
        if ($this->cmsUrl !== '' && !preg_match('#^https?://[^\s/]#', $this->cmsUrl)) {
            throw new ConfigError('CMS_URL takes an address such as https://cms.example.com.');
        }
        $this->serviceId = $get('CMS_SERVICE_ID', $service['serviceId']);
        $this->ingestToken = $get('CMS_INGEST_TOKEN', '');
        if (preg_match('/[^\x21-\x7e]/', $this->ingestToken)) {
            throw new ConfigError('CMS_INGEST_TOKEN takes one word.');
        }
    }

    public static function fromEnvironment(string $root): self
    {
        return new self($root, getenv() + self::dotEnv($root . '/.env'));
    }

    /**
     * The variables of a .env file: NAME=value, the value plain or within quotes of either kind.
     *
     * @return array<string, string>
     */
    public static function dotEnv(string $file): array
    {
        $text = is_readable($file) ? (string) file_get_contents($file) : '';
        $line = '/^(?:export )?([A-Za-z_]\w*)=(?|\'([^\']*)\'|"([^"]*)"|(.*?))[ \t\r]*$/m';
        preg_match_all($line, $text, $found);
        return array_combine($found[1], $found[2]);
    }

    /** @return array{name: string, serviceId: string} */
    private static function serviceFile(string $file): array
    {
        $service = is_readable($file) ? json_decode((string) file_get_contents($file), true) : [];
        return [
            'name' => (string) ($service['name'] ?? '') ?: 'PHP backend',
            'serviceId' => (string) ($service['serviceId'] ?? ''),
        ];
    }

    /** @param list<string> $words */
    private static function oneOf(string $name, string $value, array $words): string
    {
        return in_array($value, $words, true)
            ? $value
            : throw new ConfigError("$name takes one of: " . implode(', ', $words) . '.');
    }

    private static function number(string $name, string $value): int
    {
        return preg_match('/^[1-9]\d{0,11}$/', $value)
            ? (int) $value
            : throw new ConfigError("$name takes a whole number above 0.");
    }
}
