<?php

declare(strict_types=1);

// Brings the database of DATABASE_URL up to date. Safe to run at every start.

require __DIR__ . '/../src/autoload.php';

use App\Application;
use App\Config;

$application = new Application(Config::fromEnvironment(dirname(__DIR__)));
foreach ($application->migrator()->migrate() as $name) {
    echo "ran $name\n";
}
