<?php

declare(strict_types=1);

namespace App\Auth;

use App\Database\Repository;
use App\Http\HttpError;
use App\Http\Session;
use App\Models\User;

/** Who is signed in. */
final readonly class CurrentUser
{
    /** @param Repository<User> $users */
    public function __construct(private Session $session, private Repository $users)
    {
    }

    public function get(): ?User
    {
        $id = $this->session->userId();
        return $id === null ? null : $this->users->find($id);
    }

    public function require(): User
    {
        return $this->get() ?? throw new HttpError(401, 'unauthenticated', 'Sign in first.');
    }

    public function requireAdmin(): User
    {
        $user = $this->require();
        return $user->isAdmin() ? $user : throw new HttpError(403, 'forbidden', 'This is for admins.');
    }
}
