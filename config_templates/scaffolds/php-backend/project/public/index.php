<?php

declare(strict_types=1);

// PHP's development server asks here for every address; files of this folder it sends by itself.
if (PHP_SAPI === 'cli-server') {
    $asked = __DIR__ . (string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
    if (is_file($asked) && !str_ends_with($asked, '.php')) {
        return false;
    }
}

require __DIR__ . '/../src/autoload.php';

App\Application::run(dirname(__DIR__));
