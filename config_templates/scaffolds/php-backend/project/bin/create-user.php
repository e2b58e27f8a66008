<?php

declare(strict_types=1);

// Makes an account: php bin/create-user.php E-MAIL [user|admin], with the password on standard input.

require __DIR__ . '/../src/autoload.php';

use App\Application;
use App\Config;
use App\Database\AlreadyThere;
use App\Models\User;

$fail = static function (string $message): never {
    fwrite(STDERR, "$message\n");
    exit(1);
};
[, $email, $role] = $argv + [1 => '', 2 => 'admin'];
if (filter_var($email, FILTER_VALIDATE_EMAIL) === false || !in_array($role, User::ROLES, true)) {
    $fail('usage: php bin/create-user.php E-MAIL [user|admin] < file-with-password');
}
$password = rtrim((string) fgets(STDIN), "\r\n");
if (strlen($password) < User::MIN_PASSWORD_BYTES || strlen($password) > User::MAX_PASSWORD_BYTES) {
    $fail('The password takes ' . User::MIN_PASSWORD_BYTES . ' to ' . User::MAX_PASSWORD_BYTES . ' bytes.');
}
try {
    $application = new Application(Config::fromEnvironment(dirname(__DIR__)));
    $application->users()->save(User::named($email, $password, $role));
} catch (AlreadyThere) {
    $fail('There is an account with this e-mail address.');
}
echo "created $email\n";
