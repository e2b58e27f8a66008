<?php

declare(strict_types=1);

// Composer's autoloader where it was installed; otherwise the same PSR-4 mapping by hand.
if (is_file(__DIR__ . '/../vendor/autoload.php')) {
    require __DIR__ . '/../vendor/autoload.php';
    return;
}
spl_autoload_register(static function (string $class): void {
    foreach (['App\\Tests\\' => '/tests/', 'App\\' => '/src/'] as $prefix => $folder) {
        if (str_starts_with($class, $prefix)) {
            $path = str_replace('\\', '/', substr($class, strlen($prefix)));
            $file = dirname(__DIR__) . $folder . $path . '.php';
            if (is_file($file)) {
                require $file;
            }
            return;
        }
    }
});
