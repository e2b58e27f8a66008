<?php

declare(strict_types=1);

namespace App\Tests\Support;

use App\Application;
use App\Config;
use App\Models\User;
use PHPUnit\Framework\TestCase;

/**
 * The application behind PHP's own server, with a database of its own: SQLite, or the empty one that
 * TEST_DATABASE_URL names.
 */
abstract class ServerTestCase extends TestCase
{
    protected const PASSWORD = 'correct horse battery';

    protected static string $folder;
    protected static Process $server;
    private static Application $application;
    // Hashing takes long on purpose; once is enough.
    private static ?User $person = null;

    public static function setUpBeforeClass(): void
    {
        self::$folder = Process::temporaryFolder();
        $environment = [
            'APP_ENV' => 'development',
            'DATABASE_URL' => getenv('TEST_DATABASE_URL') ?: 'sqlite:' . self::$folder . '/test.sqlite3',
            'VAR_DIR' => self::$folder,
        ];
        $root = dirname(__DIR__, 2);
        self::$application = new Application(new Config($root, $environment));
        self::$application->migrator()->migrate();
        self::$server = new Process(self::$folder, "$root/public/index.php", $environment);
    }

    public static function tearDownAfterClass(): void
    {
        self::$server->stop();
        Process::removeFolder(self::$folder);
    }

    protected static function stranger(): Browser
    {
        return new Browser(self::$server->port);
    }

    /** Makes an account under a new e-mail address. */
    protected static function newUser(string $role = 'user'): User
    {
        $user = clone self::$person ??= User::named('', self::PASSWORD);
        $user->email = bin2hex(random_bytes(6)) . '@example.com';
        $user->role = $role;
        self::$application->users()->save($user);
        return $user;
    }

    protected static function signedIn(string $role = 'user'): Browser
    {
        $browser = self::stranger();
        self::assertSame(200, $browser->signIn(self::newUser($role)->email, self::PASSWORD)->status);
        return $browser;
    }

    protected static function assertRefused(int $status, string $code, Answer $answer): void
    {
        self::assertSame($status, $answer->status, $answer->body);
        self::assertSame($code, $answer->json()['error']['code']);
        self::assertNotSame('', $answer->json()['error']['message']);
    }
}
