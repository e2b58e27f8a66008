<?php

declare(strict_types=1);

namespace App\Tests;

use App\ConfigError;
use App\Database\AlreadyThere;
use App\Database\Connection;
use App\Database\Migrator;
use App\Database\Repository;
use App\Models\User;
use InvalidArgumentException;
use PHPUnit\Framework\TestCase;

final class DatabaseTest extends TestCase
{
    private Connection $connection;

    /** @var Repository<User> */
    private Repository $users;

    protected function setUp(): void
    {
        $this->connection = new Connection(getenv('TEST_DATABASE_URL') ?: 'sqlite::memory:', '/');
        (new Migrator($this->connection, dirname(__DIR__) . '/migrations'))->migrate();
        $this->users = new Repository($this->connection, User::class);
    }

    public function testMigrationsRunOnce(): void
    {
        self::assertSame([], (new Migrator($this->connection, dirname(__DIR__) . '/migrations'))->migrate());
        $names = array_column($this->connection->rows('SELECT name FROM migrations ORDER BY name'), 'name');
        self::assertSame(['0001_users.php', '0002_data.php'], $names);
    }

    public function testWhatIsSavedIsFoundAsItWas(): void
    {
        $user = $this->saved("o'brien-käse");
        $found = $this->users->find((int) $user->id);
        self::assertEquals($user, $found);
        self::assertEquals([$user], $this->users->findBy(['email' => $user->email]));

        $user->role = 'admin';
        $this->users->save($user);
        self::assertTrue($this->users->find((int) $user->id)?->isAdmin());
        $this->users->delete($user);
        self::assertNull($this->users->find((int) $user->id));
    }

    public function testAValueIsNeverSql(): void
    {
        $this->saved('a');
        self::assertSame([], $this->users->findBy(['email' => "' OR '1'='1"]));
        $this->expectException(InvalidArgumentException::class);
        $this->users->findBy(['email = email OR email' => 'x']);
    }

    public function testAnEmailIsThereOnce(): void
    {
        $user = $this->saved('b');
        $this->expectException(AlreadyThere::class);
        $this->users->save(User::named($user->email, 'password'));
    }

    public function testAnAddressThatIsNoneIsRefused(): void
    {
        $bad = ['', 'app.sqlite3', 'oracle://h/d', 'mysql://h', 'mysql:///d', 'mysql://h/d%3Bhost=x', 'pgsql://h/a%20'];
        foreach ($bad as $url) {
            try {
                (new Connection($url, '/'))->pdo();
                self::fail("$url was taken");
            } catch (ConfigError $error) {
                self::assertStringStartsWith('DATABASE_URL takes ', $error->getMessage());
            }
        }
    }

    private function saved(string $name): User
    {
        $user = User::named($name . bin2hex(random_bytes(6)) . '@example.com', 'password');
        $this->users->save($user);
        return $user;
    }
}
