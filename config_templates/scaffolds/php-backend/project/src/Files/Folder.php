<?php

declare(strict_types=1);

namespace App\Files;

use RuntimeException;

/** Folders that are made when they are first needed. */
final class Folder
{
    /** The folder, which is there now. */
    public static function made(string $folder): string
    {
        // Another process may make it in between, which is no failure.
        if (!is_dir($folder) && !@mkdir($folder, 0700, true) && !is_dir($folder)) {
            throw new RuntimeException("The folder $folder can't be made.");
        }
        return $folder;
    }
}
