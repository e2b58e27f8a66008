<?php

declare(strict_types=1);

namespace App\Models;

use App\Database\Model;

/** Somebody who can sign in. */
final class User extends Model
{
    public const TABLE = 'users';
    public const COLUMNS = [
        'email' => 'email',
        'password_hash' => 'passwordHash',
        'role' => 'role',
        'created_at' => 'createdAt',
    ];
    public const ROLES = ['user', 'admin'];
    public const MIN_PASSWORD_BYTES = 12;
    // bcrypt reads no further.
    public const MAX_PASSWORD_BYTES = 72;

    public string $email = '';
    public string $passwordHash = '';
    public string $role = 'user';
    public string $createdAt = '';

    public static function named(string $email, string $password, string $role = 'user'): self
    {
        $user = new self();
        $user->email = strtolower($email);
        $user->passwordHash = password_hash($password, PASSWORD_DEFAULT);
        $user->role = $role;
        $user->createdAt = gmdate('Y-m-d\TH:i:s\Z');
        return $user;
    }

    public function isAdmin(): bool
    {
        return $this->role === 'admin';
    }
}
