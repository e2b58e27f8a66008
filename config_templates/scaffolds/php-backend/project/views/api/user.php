<?php

declare(strict_types=1);

use App\Models\User;

return static fn (User $user): array => [
    'id' => $user->id,
    'email' => $user->email,
    'role' => $user->role,
    'createdAt' => $user->createdAt,
];
