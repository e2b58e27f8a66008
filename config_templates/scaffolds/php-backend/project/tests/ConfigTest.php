<?php

declare(strict_types=1);

namespace App\Tests;

use App\Config;
use App\ConfigError;
use App\Tests\Support\Process;
use PHPUnit\Framework\TestCase;

final class ConfigTest extends TestCase
{
    public function testEverythingHasADefault(): void
    {
        $config = new Config('/srv/app', []);
        self::assertSame('sqlite:/srv/app/var/app.sqlite3', $config->databaseUrl);
        self::assertTrue($config->secureCookies);
        self::assertSame('/srv/app/state', (new Config('/srv/app', ['VAR_DIR' => 'state/']))->varFolder);
        self::assertSame('', $config->ingestToken);
    }

    public function testABadValueIsRefusedByTheNameOfItsVariable(): void
    {
        $bad = [
            'LOG_LEVEL' => 'loud',
            'APP_ENV' => 'test',
            'COOKIE_SECURE' => 'perhaps',
            'UPLOAD_MAX_BYTES' => '-1',
            'CMS_URL' => 'ftp://cms.test',
            'CMS_INGEST_TOKEN' => "a\r\nX: b",
        ];
        foreach ($bad as $name => $value) {
            try {
                new Config('/srv/app', [$name => $value]);
                self::fail("$name took a bad value");
            } catch (ConfigError $error) {
                self::assertStringStartsWith("$name takes ", $error->getMessage());
                self::assertStringNotContainsString($value, $error->getMessage());
            }
        }
    }

    public function testAnEnvFileIsReadWithItsQuotes(): void
    {
        $folder = Process::temporaryFolder();
        file_put_contents("$folder/.env", "# A=0\nA=1\nB='\$x \"y\"'\nexport C=\"it's\"\r\nD=\n E=5\n");
        $values = Config::dotEnv("$folder/.env");
        Process::removeFolder($folder);
        self::assertSame(['A' => '1', 'B' => '$x "y"', 'C' => "it's", 'D' => ''], $values);
    }
}
