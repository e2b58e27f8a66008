<?php

declare(strict_types=1);

namespace App\Auth;

use App\Database\Connection;
use App\Database\Repository;
use App\Http\HttpError;
use App\Models\User;

/** Checks passwords, and slows down who guesses them. */
final readonly class SignIn
{
    private const FAILURES = 5;
    private const WINDOW_SECONDS = 900;

    /** @param Repository<User> $users */
    public function __construct(private Connection $connection, private Repository $users)
    {
    }

    /** @throws HttpError where e-mail and password don't belong together, or after too many failures */
    public function check(string $email, string $password, string $address): User
    {
        $email = strtolower($email);
        $who = hash('sha256', "$email\n$address");
        $since = time() - self::WINDOW_SECONDS;
        $sql = 'SELECT COUNT(*) AS failures FROM sign_in_failures WHERE who = ? AND failed_at > ?';
        if ($this->connection->rows($sql, [$who, $since])[0]['failures'] >= self::FAILURES) {
            throw new HttpError(429, 'too_many_attempts', 'Too many failures; try again later.', [
                'Retry-After' => (string) self::WINDOW_SECONDS,
            ]);
        }
        $user = $this->users->findBy(['email' => $email], 1)[0] ?? null;
        // Hashing takes as long as verifying, so that time can't tell who has an account.
        $isRight = $user === null
            ? password_hash($password, PASSWORD_DEFAULT) === ''
            : password_verify($password, $user->passwordHash);
        if (!$isRight) {
            $this->connection->run('DELETE FROM sign_in_failures WHERE failed_at <= ?', [$since]);
            $this->connection->run('INSERT INTO sign_in_failures (who, failed_at) VALUES (?, ?)', [$who, time()]);
            throw new HttpError(401, 'wrong_credentials', 'E-mail and password do not belong together.');
        }
        $this->connection->run('DELETE FROM sign_in_failures WHERE who = ?', [$who]);
        if (password_needs_rehash($user->passwordHash, PASSWORD_DEFAULT)) {
            $user->passwordHash = password_hash($password, PASSWORD_DEFAULT);
            $this->users->save($user);
        }
        return $user;
    }
}
